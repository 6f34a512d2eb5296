"""Tells what a file is by its first bytes, and by which suffixes people expect it; imports no TensorFlow."""

from __future__ import annotations

import os
import re

# Suffixes of the images that TensorFlow reads, by kind, the usual one first.
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".pjpeg", ".pjp"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "WebP": (".webp",),
}
# Suffixes of the images that the extra `formats` converts, by kind.
CONVERTED_SUFFIXES = {
    "TIFF": (".tif", ".tiff"),
    "HEIC": (".heic", ".heif", ".hif", ".heics", ".heifs"),
    "AVIF": (".avif", ".avifs"),
    "JPEG 2000": (".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
# Suffixes of files that show something but are not read: drawings, raw photos, scans, films.
UNREAD_SUFFIXES = frozenset(
    (
        *(".jxl", ".ico", ".icns", ".tga", ".pcx", ".psd", ".xcf", ".exr", ".hdr", ".dds"),
        *(".svg", ".eps", ".ai", ".pdf", ".djvu", ".dcm", ".nii", ".mha"),
        *(".raw", ".dng", ".cr2", ".cr3", ".crw", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"),
        *(".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".3gp"),
    )
)
# Kinds by the bytes that their files begin with, from the specifications of the formats.
_BEGINNINGS = {
    kind: re.compile(beginning, re.DOTALL)
    for kind, beginning in {
        "JPEG": rb"\xff\xd8\xff",
        "PNG": rb"\x89PNG\r\n\x1a\n",
        "GIF": rb"GIF8[79]a",
        "BMP": rb"BM.{4}\0\0\0\0",  # a size, and four bytes that are reserved
        "WebP": rb"RIFF.{4}WEBP",
        "TIFF": rb"II\*\0|MM\0\*|II\+\0|MM\0\+",
        "AVIF": rb".{4}ftypavi",
        "HEIC": rb".{4}ftyp(he|mif1|msf1)",
        "JPEG 2000": rb"\0\0\0\x0cjP|\xff\x4f\xff\x51",
        "PPM": rb"P[1-6][\s#]",
        "JPEG XL": rb"\0\0\0\x0cJXL|\xff\x0a",
        "ICO": rb"\0\0\x01\0.\0",
        "Photoshop": rb"8BPS",
        "SVG": rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg",
        "HTML": rb"\s*(<!--.*?-->\s*)?<(?i:!doctype html|html|head|body)",
        "PDF": rb"%PDF",
        "Git LFS": rb"version https://git-lfs",
        "zip": rb"PK\x03\x04|PK\x05\x06",
        "gzip": rb"\x1f\x8b",
        "rar": rb"Rar!\x1a",
        "7z": rb"7z\xbc\xaf\x27\x1c",
        "Excel": rb"\xd0\xcf\x11\xe0",
        "Parquet": rb"PAR1",
    }.items()
}
BYTES_NEEDED = 512


def kind_of(contents: bytes) -> str:
    """Returns the kind of a file by the bytes that it begins with, such as JPEG, zip or HTML; empty if it is not known."""
    start = contents[:BYTES_NEEDED]
    return next((kind for kind, beginning in _BEGINNINGS.items() if beginning.match(start)), "")


def kind_of_file(path: str) -> str:
    """Returns `kind_of` for the file at a path; empty if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return kind_of(file.read(BYTES_NEEDED))
    except OSError:
        return ""


def suffix_of(name: str) -> str:
    """Returns what follows the last dot of a name, in lower case and with the dot; empty if there is no letter in it."""
    suffix = os.path.splitext(name.strip())[1].lower()
    return suffix if re.search("[a-z]", suffix) else ""
