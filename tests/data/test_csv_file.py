"""Tests of tl_keras.data.csv_file."""

import numpy as np
import pytest

from tl_keras.data.csv_file import CsvSource
from tl_keras.errors import DataError


@pytest.fixture
def write_csv(tmp_path, write_image):
    for name in ("a", "b", "c"):
        write_image(f"images/{name}.png")

    def write(text):
        path = tmp_path / "list.csv"
        path.write_text(text)
        return str(path)

    return write


def test_columns_are_found_by_name(write_csv):
    source = CsvSource(write_csv("Label,width,PATH\ndog,16,images/a.png\ncat,16,images/b.png\n"))
    assert source.class_names == ("cat", "dog")
    assert source.ids == ["images/a.png", "images/b.png"]
    assert source.labels.tolist() == [1, 0]


def test_the_header_may_be_missing(write_csv):
    source = CsvSource(write_csv("images/a.png,dog,train\nimages/b.png,cat,val\nimages/c.png,cat\n"))
    assert source.ids == ["images/a.png", "images/b.png", "images/c.png"]
    assert source.declared_splits.tolist() == ["train", "validation", ""]


def test_integers_are_classes_in_the_order_of_their_values(write_csv):
    source = CsvSource(write_csv("path,label\nimages/a.png,10\nimages/b.png,9\nimages/c.png,10\n"))
    assert source.class_names == ("9", "10")
    assert source.labels.tolist() == [1, 0, 1]


def test_a_byte_order_mark_and_empty_lines_do_no_harm(write_csv):
    assert len(CsvSource(write_csv("\ufeffpath,label\n\nimages/a.png,x\n\n"))) == 1


def test_it_reads_the_files(write_csv, tmp_path):
    source = CsvSource(write_csv("path,label\nimages/b.png,x\nimages/a.png,y\n"))
    (element,) = source.images(np.array([1]))
    assert element["image"].numpy() == source.encoded_image(1) == (tmp_path / "images/a.png").read_bytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Received an empty file"),
        ("file,class\nimages/a.png,x\n", r"expected the header path,label\[,split\]. Received file,class"),
        ("path,label\n", "Received the header only"),
        ("path,label\nimages/a.png\n", "line 2: expected a path and a label. Received: images/a.png"),
        ("path,label\nimages/x.png,x\nimages/y.png,x\nimages/a.png,x\n", "2 of 3 that are none, the first is images/x"),
        ("path,label\nimages/a.png,x\nimages/a.png,y\n", "Received images/a.png 2 times"),
        ("path,label,split\nimages/a.png,x,tset\n", "line 2: expected a split among .* Received: tset"),
    ],
)
def test_mistakes_are_named(write_csv, text, message):
    with pytest.raises(DataError, match=message):
        CsvSource(write_csv(text))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected a CSV file"):
        CsvSource(str(tmp_path / "none.csv"))
