"""Tests of tl_keras.data.sources."""

import pytest

from tl_keras.data.sources import open_source
from tl_keras.errors import DataError


def test_a_directory_is_opened(folder):
    source = open_source(str(folder))
    assert source.name == str(folder)
    assert len(source) == 40


def test_a_kind_is_opened(folder):
    (folder / "list.csv").write_text("path,label\ncat/00.png,cat\ndog/00.png,dog\n")
    assert open_source(f"csv:{folder}/list.csv").name == f"csv:{folder}/list.csv"


def test_digits_are_opened():
    assert open_source("digits").name == "digits"


def test_an_unknown_kind_offers_the_nearest():
    with pytest.raises(DataError, match=r"Received the kind tfrecords\. Did you mean tfrecord"):
        open_source("tfrecords:photos/*.tfrecord")
