"""Tests of tl_keras.data.text_encoding: a new encoding is one more line of a table."""

import pytest

from tl_keras.data.text_encoding import decode_text

TEXT = "voilà, a text\nof two lines"
# What a file holds, its text, and how it was read if not as Unicode.
FILES = {
    "UTF-8": (TEXT.encode(), TEXT, ""),
    "UTF-8 with a mark": (TEXT.encode("utf-8-sig"), TEXT, ""),
    "UTF-16 with a mark": (TEXT.encode("utf-16"), TEXT, ""),
    "UTF-16 without a mark": (TEXT.encode("utf-16-le"), TEXT, ""),
    "UTF-16 without a mark, big first": (TEXT.encode("utf-16-be"), TEXT, ""),
    "UTF-32": (TEXT.encode("utf-32"), TEXT, ""),
    "Western Windows": (TEXT.encode("cp1252"), TEXT, "cp1252"),
    "Latin-1": (b"caf\x81", "caf\x81", "latin-1"),
    "half a UTF-16": ("ab".encode("utf-16") + b"c", "ab\ufffd", "utf-16 with \ufffd for what is damaged"),
    "lines of Windows and of old Macs": (b"a\r\nb\rc\n", "a\nb\nc\n", ""),
    "NUL in a text": (b"a\0bcdefg", "a\0bcdefg", ""),
    "nothing": (b"", "", ""),
}


@pytest.mark.parametrize(("raw", "text", "read_as"), FILES.values(), ids=FILES)
def test_texts_are_decoded(raw, text, read_as):
    assert decode_text(raw) == (text, read_as)
