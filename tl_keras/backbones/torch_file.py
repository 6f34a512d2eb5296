"""Reads the files in which PyTorch publishes weights, without PyTorch and without executing anything.

`torch.save` writes a pickle of the dictionary and the raw numbers: in a zip archive since PyTorch 1.6, one after the other
before (pytorch/pytorch torch/serialization.py). The pickle needs a handful of names; any other name is refused.
"""

from __future__ import annotations

import collections
import dataclasses
import io
import pathlib
import pickle
import struct
import zipfile
from typing import Any, BinaryIO

import numpy as np

_DTYPES = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
}


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A view of a storage as the pickle describes it; the numbers are elsewhere in the file."""

    key: str
    dtype: type[np.generic]
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def of(self, storage: bytes) -> np.ndarray:
        """Returns the tensor as an independent array.

        Raises:
          ValueError: The view reaches beyond the storage, or repeats it.
        """
        values = np.frombuffer(storage, np.dtype(self.dtype).newbyteorder("<"))[self.offset :]
        if 0 in self.size:
            return np.zeros(self.size, self.dtype)
        last = sum((length - 1) * step for length, step in zip(self.size, self.stride, strict=True))
        if min((self.offset, *self.size, *self.stride)) < 0 or last >= len(values) or np.prod(self.size) > len(values):
            raise ValueError(f"a tensor of {self.size} is more than what is stored of it")
        strides = [step * values.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(values, self.size, strides).astype(self.dtype)


def _tensor(
    storage: tuple[str, type[np.generic]], offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> _Tensor:
    return _Tensor(*storage, offset, tuple(size), tuple(stride))


_NAMES: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    **{("torch", name): dtype for name, dtype in _DTYPES.items()},
}


class _Unpickler(pickle.Unpickler):
    """Unpickles only the names that a dictionary of tensors needs."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns the replacement for a name, or refuses the name."""
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no weights need")
        return _NAMES[module, name]

    def persistent_load(self, pid: Any) -> tuple[str, type[np.generic]]:
        """Returns the key and the dtype of a storage."""
        _, dtype, key, *_ = pid
        return key, dtype


def read_state_dict(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads a state dictionary that `torch.save` wrote.

    Args:
      path: A `.pth` or `.pt` file, in the format of PyTorch 1.6 and later or in the older one.

    Returns:
      Tensors by name, with PyTorch's shapes: a kernel is (out, in, height, width).

    Raises:
      Exception: The file is damaged, or is not a dictionary of tensors; pickle and zipfile raise their own types. Nothing that
        the file names was executed.
    """
    with path.open("rb") as file:
        tensors, storages = _of_zip(file) if zipfile.is_zipfile(file) else _of_sequence(file)
    if not isinstance(tensors, dict) or not all(isinstance(tensor, _Tensor) for tensor in tensors.values()):
        raise ValueError("it holds something else than a dictionary of tensors")
    return {name: tensor.of(storages[tensor.key]) for name, tensor in tensors.items()}


def _of_zip(file: BinaryIO) -> tuple[Any, dict[str, bytes]]:
    """Reads the dictionary from FOLDER/data.pkl and the storages from FOLDER/data/KEY."""
    with zipfile.ZipFile(file) as archive:
        folder = archive.namelist()[0].partition("/")[0]
        tensors = _Unpickler(io.BytesIO(archive.read(f"{folder}/data.pkl"))).load()
        beginning = f"{folder}/data/"
        names = [name for name in archive.namelist() if name.startswith(beginning)]
        return tensors, {name.removeprefix(beginning): archive.read(name) for name in names}


def _of_sequence(file: BinaryIO) -> tuple[Any, dict[str, bytes]]:
    """Reads three small pickles, the dictionary, the keys of the storages, and then each storage: a count and its values."""
    file.seek(0)
    for _ in ("magic number", "version of the protocol", "sizes of the machine"):
        _Unpickler(file).load()
    tensors, storages = _Unpickler(file).load(), {}
    dtypes = {tensor.key: tensor.dtype for tensor in tensors.values()}
    for key in _Unpickler(file).load():
        (count,) = struct.unpack("<q", file.read(8))
        storages[key] = file.read(count * np.dtype(dtypes[key]).itemsize)
    return tensors, storages
