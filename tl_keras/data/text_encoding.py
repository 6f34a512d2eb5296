"""Tells in which encoding people saved a text; imports no TensorFlow."""

from __future__ import annotations

import codecs

# Encodings with their byte-order marks; the longer marks first, since one begins with another.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode_text(raw: bytes) -> tuple[str, str]:
    r"""Returns a text, whose lines end in \n, and how it was read if it is no whole text in Unicode, such as `cp1252`; or empty."""
    encoding = marked_encoding(raw) or (unmarked_utf_16(raw) if b"\0" in raw else "") or "utf-8"
    read_as = ""
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        if encoding == "utf-8":
            text, read_as = decode_as_western(raw)
        else:
            text, read_as = raw.decode(encoding, "replace"), f"{encoding} with \ufffd for what is damaged"
    return text.replace("\r\n", "\n").replace("\r", "\n"), read_as


def marked_encoding(raw: bytes) -> str:
    """Returns the encoding whose mark a file begins with; empty if there is none."""
    return next((encoding for mark, encoding in _MARKS if raw.startswith(mark)), "")


def unmarked_utf_16(raw: bytes) -> str:
    """Returns the order of the bytes of a UTF-16 file without a mark, of whose first characters most are of ASCII; or empty."""
    start = raw[:4096]
    for encoding, high in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
        if high.count(0) > len(high) / 2 and start.count(0) == high.count(0):
            return encoding
    return ""


def decode_as_western(raw: bytes) -> tuple[str, str]:
    """Returns the text that Western Windows would show, and the encoding."""
    try:
        return raw.decode("cp1252"), "cp1252"
    except UnicodeDecodeError:  # it leaves five bytes undefined
        return raw.decode("latin-1"), "latin-1"
