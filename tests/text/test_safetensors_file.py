"""Files of the safetensors format are read, and damaged ones refused."""

import numpy as np
import pytest

from tests.text.tiny_bert import safetensors
from tl_keras.text.safetensors_file import read_safetensors


def test_safetensors_are_read_in_every_type_of_floats():
    values = np.array([[1.5, -2.0]], np.float32)
    upper = (values.view(np.uint32) >> 16).astype(np.uint16)
    read = read_safetensors(safetensors({"a": values, "b": values.astype(np.float16), "c": upper}))
    for name in "abc":
        np.testing.assert_array_equal(read[name], values)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff" * 8, b"\x02" + b"\0" * 7 + b"[]", safetensors({"a": np.zeros(3, np.float32)})[:-1]],
    ids=["empty", "length", "list", "cut"],
)
def test_a_damaged_file_of_tensors_is_refused(data):
    with pytest.raises(ValueError, match="it"):
        read_safetensors(data)


def test_the_type_that_is_not_read_is_refused():
    with pytest.raises(ValueError, match="tensor a"):
        read_safetensors(safetensors({"a": np.zeros(3, np.float64)}))
