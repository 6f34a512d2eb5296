"""Tests of tl_keras.serving.served_model; `test_server.py` has what is served."""

import pytest

from tl_keras.errors import BackboneError
from tl_keras.serving.served_model import ServedModel


@pytest.mark.parametrize("contents", [None, b"damaged", b""])
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path, contents):
    (tmp_path / "7").mkdir()
    if contents is not None:
        (tmp_path / "7" / "saved_model.pb").write_bytes(contents)
    with pytest.raises(BackboneError, match="expected a SavedModel written by tl_keras"):
        ServedModel(tmp_path / "7", name="it")
