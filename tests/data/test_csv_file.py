"""Tests of tl_keras.data.csv_file: a new dialect or encoding is one more line of a table."""

import pytest

from tl_keras.data.csv_file import csv_holds_texts, read_csv
from tl_keras.errors import DataError


@pytest.fixture
def write(tmp_path):
    (tmp_path / "a.jpg").touch()

    def write(contents):
        path = tmp_path / "list.csv"
        path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
        return str(path)

    return write


PLAIN = "path,label\na.jpg,café\n"
# What the file holds; its row; how the remark begins.
DIALECTS = {
    "UTF-8": (PLAIN.encode(), ["a.jpg", "café"], ""),
    "UTF-8 with a mark": (PLAIN.encode("utf-8-sig"), ["a.jpg", "café"], ""),
    "UTF-16 with a mark": (PLAIN.encode("utf-16"), ["a.jpg", "café"], ""),
    "UTF-16, big first": (b"\xfe\xff" + PLAIN.encode("utf-16-be"), ["a.jpg", "café"], ""),
    "UTF-16 without a mark": (PLAIN.encode("utf-16-le"), ["a.jpg", "café"], ""),
    "UTF-32": (PLAIN.encode("utf-32"), ["a.jpg", "café"], ""),
    "Windows": (PLAIN.encode("cp1252"), ["a.jpg", "café"], "not UTF-8 (line 2): read as cp1252"),
    "Latin-1": (
        PLAIN.replace("é", "\x81").encode("latin-1"),
        ["a.jpg", "caf\x81"],
        "not UTF-8 (line 2): read as latin-1",
    ),
    "semicolons": ("path;label\na.jpg;cat\n", ["a.jpg", "cat"], ""),
    "spaces before quotes": ('path, label\na.jpg, "cat, dog"\n', ["a.jpg", "cat, dog"], ""),
    "a quoted word behind a space": ('path, label\na.jpg, "big" cat\n', ["a.jpg", '"big" cat'], ""),
    "tabs": ("path\tlabel\na.jpg\tcat, dog\n", ["a.jpg", "cat, dog"], ""),
    "bars": ("path|label\na.jpg|cat\n", ["a.jpg", "cat"], ""),
    "Excel's first line": ("sep=;\npath;label\na.jpg;cat\n", ["a.jpg", "cat"], ""),
    "lines of Windows": ("path,label\r\na.jpg,cat\r\n", ["a.jpg", "cat"], ""),
    "lines of old Macs": ("path,label\ra.jpg,cat\r", ["a.jpg", "cat"], ""),
    "quotes": ('path,label\n"a.jpg","cat, small"\n', ["a.jpg", "cat, small"], ""),
    "quotes inside": ('path,label\na.jpg,"5"" pipe"\n', ["a.jpg", '5" pipe'], ""),
    "empty lines": ("\npath,label\n\na.jpg,cat\n\n", ["a.jpg", "cat"], ""),
    "spaces": (" path , label \n a.jpg , cat \n", ["a.jpg", "cat"], ""),
    "no header, images elsewhere": ("b.JPEG,cat\n", ["b.JPEG", "cat"], ""),
    "spaces between": ("path label\na.jpg cat\n", ["a.jpg", "cat"], ""),
    "spaces between, no header": ("a.jpg cat\n", ["a.jpg", "cat"], ""),
    "a comment": (
        "# by hand\npath,label\na.jpg,cat\n",
        ["a.jpg", "cat"],
        "comments before",
    ),
    "comments": (
        "# it's \"mine\n\n# a, b\npath;label\na.jpg;cat\n",
        ["a.jpg", "cat"],
        "comments before",
    ),
    "comments above Excel's line": ("# a\nsep=;\npath;label\na.jpg;cat\n", ["a.jpg", "cat"], "comments before"),
    "a file that begins with #": ("path,label\n#a.jpg,cat\n", ["#a.jpg", "cat"], ""),
    "no header, a long name": (f"{'a' * 300}.jpg,cat\n", [f"{'a' * 300}.jpg", "cat"], ""),
    "no header": ("a.jpg,cat|dog|emu\n", ["a.jpg", "cat|dog|emu"], ""),
}


@pytest.mark.parametrize(("contents", "row", "note"), DIALECTS.values(), ids=DIALECTS)
def test_dialects(write, contents, row, note):
    table = read_csv(write(contents))
    assert table.columns == ["path", "label"]
    assert table.rows == [row]
    assert table.notes[0].startswith(note) if note else not table.notes


REFUSED = {
    "only a header": ("path,label\n", "Received the header only"),
    "a quote that stays open": ('path,label\na.jpg,x\na.jpg,"y\na.jpg,z\n', "line 3: expected a row of cells"),
    "a quote over lines": ('path,label\na.jpg,"y\na.jpg,"\na.jpg,z\n', r"line 2: .* closes in line 3.*inside cells\.$"),
    "a quote over lines, perhaps of a text": (
        'nr,Frage,Thema\n1,"what\nnow?",x\n',
        r"line 2: .*inside cells; where it is a text to be classified, name its column: --columns=text=COLUMN,label=COLUMN\.$",
    ),
    "text after a quote": ('path,label\na.jpg,"y" z\n', "line 2: expected a row of cells"),
    "a comma too many": ("path,label\na.jpg,cat, small\n", "line 2: expected 2 cells, as in the header. Received 3"),
    "NUL bytes at the end": (b"path,label\na.jpg,cat\n\0\0\0", r"line 3: expected text\. Received a NUL byte"),
    "a NUL byte": (b"path,label\na.jpg,c\0at\n", "line 2: expected text"),
    "a workbook or an archive": (b"PK\x03\x04" + bytes(100), "Received a file of the kind zip. Save the sheet as CSV"),
    "an old workbook": (b"\xd0\xcf\x11\xe0" + bytes(100), "of the kind Excel"),
    "a compressed file": (b"\x1f\x8b\x08" + bytes(100), "of the kind gzip. Unpack it"),
    "Parquet": (b"PAR1" + bytes(100), "Use parquet:FILE"),
    "a web page": (b"<!DOCTYPE html><html>path,label</html>", "It is a web page: download the table itself"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
    "half a UTF-16": ("path,label\n".encode("utf-16") + b"\x00", "begins as utf-16 and is not"),
}


@pytest.mark.parametrize(("contents", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_named(write, contents, message):
    with pytest.raises(DataError, match=message):
        read_csv(write(contents))


def test_a_long_first_cell_that_names_no_image_is_a_name_of_a_column(write):
    assert read_csv(write(f"{'a' * 300},b\nc,d\n")).columns == ["a" * 300, "b"]


def test_an_empty_file_has_no_columns(write):
    assert read_csv(write("")).columns == []


def test_a_header_may_be_written_as_a_comment(write):
    table = read_csv(write("#path,label\na.jpg,cat\n"))
    assert (table.columns, table.rows, table.notes) == (["#path", "label"], [["a.jpg", "cat"]], ())


def test_lines_are_counted_with_the_comments(write):
    table = read_csv(write("# a\n\npath,label\na.jpg,cat\n\nb.jpg,dog\n"))
    assert list(table.lines) == [4, 6]
    assert table.notes == ("comments before the header, left out: 1 line",)


@pytest.mark.parametrize("shift", range(3))
def test_a_table_of_texts_is_known_wherever_its_beginning_is_cut(write, shift):
    rows = "".join("x" * shift + "\u0449" * 100 + f",{number % 2}\n" for number in range(1000))
    assert csv_holds_texts(write(("text,label\n" + rows).encode("utf-8-sig")), {})


def test_a_long_text_is_a_cell(write):
    table = read_csv(write("text,label\n" + "a" * 200_000 + ",long\nb,short\n"))
    assert [len(row[0]) for row in table.rows] == [200_000, 1]
