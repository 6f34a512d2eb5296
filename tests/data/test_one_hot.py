"""Tests of tl_keras.data.one_hot."""

import pytest

from tl_keras.data.csv_file import read_csv
from tl_keras.data.image_table import list_table
from tl_keras.data.options import SourceOptions
from tl_keras.errors import DataError


@pytest.fixture
def listed(write_image, tmp_path):
    """A function that writes a table of images a.png, b.png, ... and returns how it is read."""
    for name in "abcd":
        write_image(f"{name}.png")

    def listed(text, options=SourceOptions()):  # noqa: B008
        (tmp_path / "table.csv").write_text(text)
        return list_table(read_csv(str(tmp_path / "table.csv"), options.column_names), options)

    return listed


LABELLED = {
    "integers": "image,cat,dog\na.png,1,0\nb.png,0,1",
    "fractions": "image,cat,dog\na.png,1.0,0.0\nb.png,0.0,1.0",
    "words": "image;cat;dog\na.png;True;False\nb.png;False;True",
    "no suffix, a split and an empty class": "image,cat,dog,emu,split\na,1,0,0,train\nb,0,1,0,val",
    "other columns": "id,age,cat,dog\na.png,31,1,0\nb.png,47,0,1",
}


@pytest.mark.parametrize("text", LABELLED.values(), ids=LABELLED)
def test_one_column_per_class_becomes_a_label(listed, text):
    listing = listed(text)
    assert listing.labels == ["cat", "dog"]
    assert any(note.startswith("labels from the columns cat, dog") for note in listing.notes)


REFUSED = {
    "several": ("image,cat,dog\na.png,1,0\nb.png,1,1", r"line 3: .*Received cat and dog, .*--task=multi_label"),
    "none": (
        "image,cat,dog\na.png,1,0\nb.png,0,0\nc.png,0,1",
        r"line 3: expected a 1 .*cat, dog.*Received none, in 1 row\.",
    ),
    "one column": ("image,cat\na.png,1\nb.png,0", "expected the header path,label"),
    "what is not known": (
        "image,cat,dog\na.png,1,?\nb.png,0,1",
        r"Received the columns cat, dog of 0, 1 and what is not known. .*--task=multi_label; .*--columns=label=COLUMN",
    ),
    "numbers": ("image,cat,dog\na.png,1,0\nb.png,0,2", "expected the header path,label"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_what_gives_no_single_label_is_refused(listed, text, message):
    with pytest.raises(DataError, match=message):
        listed(text)


def test_a_column_that_the_user_names_is_the_label(listed):
    listing = listed("image,cat,dog,kind\na.png,1,0,x\nb.png,0,1,y", SourceOptions(columns="label=kind"))
    assert listing.labels == ["x", "y"]
