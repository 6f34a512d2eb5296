"""Tests of tl_keras.pieces.labelled_data."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import tl_keras as tl


def pixels(images=12):
    return np.random.default_rng(0).integers(0, 256, (images, 8, 8, 3), dtype=np.uint8)


def test_a_folder_is_split_counted_and_shown(photos):
    data = tl.load_data(photos("blue", "red"), test=0.25)
    assert [sum(counts.values()) for counts in data.counts().values()] == [16, 16]
    assert len(data.splits.test) == 8
    titles = [axes.get_title() for axes in data.show(4).axes]
    assert titles == ["blue", "red", "blue", "red"]
    assert "<td>4</td>" in data._repr_html_()
    with pytest.raises(tl.TransferError, match="images: expected 1 or more to show"):
        data.show(0)


@pytest.mark.parametrize(
    "given",
    [
        (pixels(), ["a", "b"] * 6),
        (tf.data.Dataset.from_tensor_slices((pixels(), np.arange(12) % 2)),),
        (tl.ArraySource(pixels(), ["a", "b"] * 6),),
    ],
    ids=["arrays", "tf.data", "source"],
)
def test_what_is_in_memory_is_opened_as_it_is(given):
    data = tl.load_data(*given)
    assert len(data) == 12
    assert len(data.class_names) == 2
    assert data.issues()  # few images to measure on


def test_a_group_of_a_table_is_a_column_and_stays_whole(photos):
    folder = photos("blue", "red")
    files = sorted(folder.rglob("*.png"))
    table = pd.DataFrame(
        {"image": [str(file) for file in files], "label": [file.parent.name for file in files], "of": range(32)}
    )
    table["of"] //= 4
    data = tl.load_data(table, group="of")
    splits = data.splits
    of = table["of"].to_numpy()
    assert not set(of[splits.train]) & set(of[splits.validation])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colums": "image=x"}, "load_data: expected an option .* Received: colums. Did you mean columns"),
        ({"validation": 1.5}, "validation_fraction: expected a number"),
        ({"epochs": 3}, "Received: epochs"),
        ({"group": "("}, "group_by: expected folder or a regular expression"),
    ],
)
def test_an_option_that_is_wrong_is_one_line(options, message, photos):
    with pytest.raises(tl.TransferError, match=message):
        tl.load_data("photos/", **options)
