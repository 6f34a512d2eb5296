"""A file of every variant that docs/data.md lists, written by Pillow or, where Pillow cannot write it, by hand."""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

PIXELS = np.random.default_rng(0).integers(0, 256, (13, 17, 4), np.uint8)
RGB = Image.fromarray(PIXELS[..., :3])
GREY = Image.fromarray(PIXELS[..., 0])
RGBA = Image.fromarray(PIXELS)
GREY_ALPHA = Image.merge("LA", [GREY, Image.fromarray(PIXELS[..., 3])])
PALETTE = RGB.quantize(23)
ONE_BIT = GREY.convert("1")
SMOOTH = RGBA.resize((68, 52), Image.Resampling.BICUBIC)
SMOOTH_RGB = SMOOTH.convert("RGB")


def encoded(image, kind, **options):
    """Returns the bytes of an image file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def as_pillow_reads(file, background="white"):
    """Returns uint8 (height, width, 3): upright, and laid over a background."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(file)))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, background), image)
    return np.asarray(image.convert("RGB"))


def exif_block(orientation, *, big_endian=False, kind=3, entries_before=1):
    """Returns an EXIF block, without the words before it, whose first directory has an orientation among other entries."""
    order = ">" if big_endian else "<"
    value = struct.pack(order + ("HH" if kind == 3 else "I"), *((orientation, 0) if kind == 3 else (orientation,)))
    entries = struct.pack(order + "HHI4s", 0x0100, 4, 1, b"\0\0\0\1") * entries_before
    entries += struct.pack(order + "HHI4s", 0x0112, kind, 1, value)
    head = (b"MM" if big_endian else b"II") + struct.pack(order + "HI", 42, 8)
    return head + struct.pack(order + "H", entries_before + 1) + entries + bytes(4)


def turned(kind, orientation, image=SMOOTH_RGB, *, block=None, **options):
    """Returns a file whose EXIF orientation is not upright."""
    exif = b"Exif\0\0" + (block or exif_block(orientation))
    return encoded(image, kind, exif=exif, **options)


def bmp(depth, rows, *, palette=(), compression=0, masks=(), header=40, top_down=False):
    """Returns a BMP file written by hand.

    Args:
      depth: Bits of a pixel.
      rows: Numbers of the pixels, (height, width), from the top.
      palette: RGB colours.
      compression: 0, or 3 with `masks`.
      masks: Of red, green, blue and, in a header of 56 bytes or more, alpha.
      header: Length of the second header; 12 is OS/2's.
      top_down: Whether the rows are stored from the top, under a negative height.
    """
    height, width = np.shape(rows)
    bits = (np.asarray(rows, np.uint64)[:, :, None] >> np.arange(depth - 1, -1, -1, dtype=np.uint64)) & np.uint64(1)
    if depth > 8:  # the least byte first
        bits = bits.reshape(height, width, depth // 8, 8)[:, :, ::-1]
    packed = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    stored = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 4)))[:: 1 if top_down else -1].tobytes()
    if header == 12:
        second = struct.pack("<IHHHH", 12, width, height, 1, depth)
        colours = b"".join(bytes(colour[::-1]) for colour in palette)
    else:
        signed = -height if top_down else height
        second = struct.pack("<IiiHHIIiiII", header, width, signed, 1, depth, compression, 0, 0, 0, len(palette), 0)
        second += struct.pack(f"<{len(masks)}I", *masks)
        second = second.ljust(header, b"\0")
        colours = b"".join(bytes(colour[::-1]) + b"\0" for colour in palette)
    start = 14 + len(second) + len(colours)
    return b"BM" + struct.pack("<IHHI", start + len(stored), 0, 0, start) + second + colours + stored


def _png(image, **chunks):
    information = PngImagePlugin.PngInfo()
    for name, data in chunks.items():
        information.add(name.encode(), data)
    return encoded(image, "PNG", pnginfo=information)


def interlaced_png(pixels):
    """Returns a PNG whose rows come in the seven passes of Adam7 (PNG specification, section 8.2), as GIMP writes it."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width, _ = pixels.shape
    first = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    passes = [pixels[top::down, left::right] for top, left, down, right in first]
    rows = b"".join(b"\0" + row.tobytes() for part in passes if part.size for row in part)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def ycck(jpeg):
    """Returns a JPEG of four inks as Photoshop stores them: its Adobe marker says that three are luminance and colour."""
    marker = jpeg.index(b"Adobe")
    return jpeg[: marker + 11] + b"\2" + jpeg[marker + 12 :]


_NUMBERS = np.random.default_rng(1).integers(0, 2**32, (5, 7), np.uint64)
_COLOURS = [tuple(colour) for colour in np.random.default_rng(2).integers(0, 256, (256, 3)).tolist()]
_565, _555 = (0xF800, 0x07E0, 0x001F), (0x7C00, 0x03E0, 0x001F)
_ONE = tuple(int(value) for value in PIXELS[0, 0])

# What decodes to exactly the pixels that Pillow gives.
EXACT = {
    "png 1 bit": encoded(ONE_BIT, "PNG"),
    "png grey": encoded(GREY, "PNG"),
    "png grey, one of them transparent": encoded(GREY, "PNG", transparency=_ONE[0]),
    "png grey and alpha": encoded(GREY_ALPHA, "PNG"),
    "png colour": encoded(RGB, "PNG"),
    "png colour, one of them transparent": encoded(RGB, "PNG", transparency=_ONE[:3]),
    "png colour and alpha": encoded(RGBA, "PNG"),
    "png palette": encoded(PALETTE, "PNG"),
    "png palette of 4 bits": encoded(RGB.quantize(11), "PNG", bits=4),
    "png palette, one of it transparent": encoded(PALETTE, "PNG", transparency=3),
    "png palette, each of an alpha": encoded(PALETTE, "PNG", transparency=bytes(range(0, 230, 10))),
    "png interlaced": interlaced_png(PIXELS[..., :3]),
    "png with a gamma": _png(RGB, gAMA=struct.pack(">I", 100_000)),
    **{f"png turned {way}": turned("PNG", way, RGBA) for way in range(2, 9)},
    "gif": encoded(PALETTE, "GIF"),
    "gif grey": encoded(GREY, "GIF"),
    "gif not interlaced": encoded(PALETTE, "GIF", interlace=False),
    "gif, one colour transparent": encoded(PALETTE, "GIF", transparency=3),
    "gif with a comment, one colour transparent": encoded(PALETTE, "GIF", transparency=3, comment=b"," * 300),
    "gif animated": encoded(PALETTE, "GIF", save_all=True, append_images=[PALETTE.rotate(180)]),
    "gif animated, one colour transparent": encoded(
        PALETTE, "GIF", save_all=True, append_images=[PALETTE.rotate(180)], transparency=3, disposal=2
    ),
    "bmp 1 bit": encoded(ONE_BIT, "BMP"),
    "bmp grey": encoded(GREY, "BMP"),
    "bmp palette": encoded(PALETTE, "BMP"),
    "bmp colour": encoded(RGB, "BMP"),
    "bmp colour and alpha": encoded(RGBA, "BMP"),
    "bmp 1 bit in two colours": bmp(1, _NUMBERS % 2, palette=_COLOURS[:2]),
    "bmp 4 bits": bmp(4, _NUMBERS % 16, palette=_COLOURS[:16]),
    "bmp 4 bits, few colours, from the top": bmp(4, _NUMBERS % 5, palette=_COLOURS[:5], top_down=True),
    "bmp 8 bits of OS/2": bmp(8, _NUMBERS % 256, palette=_COLOURS, header=12),
    "bmp 24 bits of OS/2": bmp(24, _NUMBERS % 2**24, header=12),
    "bmp 24 bits from the top": bmp(24, _NUMBERS % 2**24, top_down=True),
    "bmp 16 bits": bmp(16, _NUMBERS % 2**15),
    "bmp 16 bits, masks 555": bmp(16, _NUMBERS % 2**15, compression=3, masks=_555, header=56),
    "bmp 16 bits, masks 565": bmp(16, _NUMBERS % 2**16, compression=3, masks=_565, header=56),
    "bmp 16 bits, masks behind the header": bmp(16, _NUMBERS % 2**16, compression=3, masks=_565),
    "bmp 32 bits": bmp(32, _NUMBERS),
    "bmp 32 bits from the top": bmp(32, _NUMBERS, top_down=True),
    "bmp 32 bits, usual masks": bmp(32, _NUMBERS, compression=3, masks=(0xFF0000, 0xFF00, 0xFF, 0), header=108),
    "bmp 32 bits, red last": bmp(32, _NUMBERS, compression=3, masks=(0xFF000000, 0xFF0000, 0xFF00, 0), header=56),
    "bmp 32 bits, red first": bmp(32, _NUMBERS, compression=3, masks=(0xFF, 0xFF00, 0xFF0000, 0xFF000000), header=124),
    "bmp 32 bits and alpha": bmp(32, _NUMBERS, compression=3, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF000000), header=124),
    "jpeg grey": encoded(SMOOTH.convert("L"), "JPEG"),
    "jpeg": encoded(SMOOTH_RGB, "JPEG"),
    "jpeg progressive": encoded(SMOOTH_RGB, "JPEG", progressive=True),
    **{f"jpeg turned {way}": turned("JPEG", way) for way in range(1, 9)},
    "jpeg turned, big-endian": turned("JPEG", 6, block=exif_block(6, big_endian=True)),
    "jpeg turned, big-endian long": turned("JPEG", 6, block=exif_block(6, big_endian=True, kind=4)),
    "jpeg turned, behind a comment": turned("JPEG", 6, comment=b"a comment", icc_profile=b"a" * 70_000),
    "jpeg progressive and turned": turned("JPEG", 8, progressive=True),
    "jpeg of no such orientation": turned("JPEG", 9),
}
WEBP = {
    "webp": encoded(RGB, "WEBP", lossless=True),
    "webp and alpha": encoded(RGBA, "WEBP", lossless=True, exact=True),
    "webp turned": turned("WEBP", 6, RGB, lossless=True),
    "webp turned, odd lengths": turned("WEBP", 8, RGBA.crop((0, 0, 5, 3)), lossless=True, exact=True),
    "webp lossy": encoded(SMOOTH_RGB, "WEBP", quality=90),
    "webp lossy and alpha": encoded(SMOOTH, "WEBP", quality=90),
}
# What decodes to nearly the pixels that Pillow gives: inks are mixed by another rounding.
NEAR = {
    "jpeg of inks": encoded(SMOOTH_RGB.convert("CMYK"), "JPEG", quality=95),
    "jpeg of inks, progressive": encoded(SMOOTH_RGB.convert("CMYK"), "JPEG", quality=95, progressive=True),
    "jpeg of inks as luminance and colour": ycck(encoded(SMOOTH_RGB.convert("CMYK"), "JPEG", quality=95)),
    "jpeg of inks, turned": turned("JPEG", 6, SMOOTH_RGB.convert("CMYK"), quality=95),
}
