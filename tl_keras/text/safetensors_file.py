"""Reads files of the safetensors format: a JSON header with names, types and places, then the raw values."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from tl_keras.untrusted import MAX_JSON_BYTES, parse_json

_LENGTH = struct.Struct("<Q")
_TYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "BF16": np.dtype("<u2"),
}


def read_safetensors(data: bytes) -> dict[str, np.ndarray]:
    """Reads all tensors of a file; nothing is executed.

    Args:
      data: Content of the file.

    Returns:
      Tensors by name: float32 for every type of floats, else int64.

    Raises:
      ValueError: The file is damaged, or has a tensor of another type.
    """
    length = _LENGTH.unpack_from(data)[0] if len(data) >= _LENGTH.size else -1
    start = _LENGTH.size + length
    if not 0 <= length <= min(MAX_JSON_BYTES, len(data)):
        raise ValueError("it does not begin with the length of a header")
    header = parse_json(data[_LENGTH.size : start])
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    return {name: _tensor(data, start, name, entry) for name, entry in header.items() if name != "__metadata__"}


def _tensor(data: bytes, start: int, name: str, entry: Any) -> np.ndarray:
    try:
        dtype, shape, (begin, end) = _TYPES[entry["dtype"]], tuple(map(int, entry["shape"])), entry["data_offsets"]
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        if not (0 <= begin <= end <= len(data) - start and end - begin == size and min(shape, default=0) >= 0):
            raise ValueError
        values = np.frombuffer(data, dtype, size // dtype.itemsize, start + begin).reshape(shape)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"its tensor {name} is not described as the format requires") from error
    if entry["dtype"] == "BF16":  # the upper half of a float32
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values if dtype.kind == "i" else values.astype(np.float32)
