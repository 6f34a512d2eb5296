"""Writes and reads the vectors of images as one file, which remembers the network that made them.

A `.npz` holds `features`, float32 (n, d), `names`, str (n,), `sizes`, int64 (n, 2), and `about`, JSON; a `.parquet` has a row for
each image, with `about` in its metadata. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tl_keras.errors import DataError
from tl_keras.files import replacing, require_suffix, writing
from tl_keras.untrusted import check_npz, parse_json

SUFFIXES = (".npz", ".parquet")
_ABOUT = b"tl_keras"


@dataclasses.dataclass(frozen=True)
class VectorIndex:
    """The vectors of some images.

    Attributes:
      path: File that they were read from.
      features: Vectors, float32 (n, d).
      names: Names of the images in their source, one each.
      sizes: Height and width of each image in pixels, int64 (n, 2).
      about: Facts on them, as JSON values: `network`, words; `identity`, see `Embedder.identity`; `made_with`, how to open the
        network again; `source`, the folder that the names are below, or its name; `left_out`, sentences.
    """

    path: pathlib.Path
    features: np.ndarray
    names: Sequence[str]
    sizes: np.ndarray
    about: dict[str, Any]

    def described(self, rows: np.ndarray, cosines: np.ndarray) -> list[dict[str, Any]]:
        """Returns `name`, `cosine`, `height` and `width` of some images as JSON values.

        Args:
          rows: Positions of the images, int64 (k,).
          cosines: Their cosines with a query, float32 (k,).
        """
        found = zip(rows.tolist(), cosines.tolist(), self.sizes[rows].tolist(), strict=True)
        return [
            {"name": self.names[row], "cosine": round(cosine, 6), "height": height, "width": width}
            for row, cosine, (height, width) in found
        ]

    def require_same_network(self, identity: dict[str, Any], name: str) -> None:
        """Raises a DataError unless vectors of a network can be compared with these.

        Args:
          identity: Facts on the network, with the keys of `Embedder.identity`; a missing one is not compared.
          name: Words for the network.
        """
        own = self.about["identity"]
        if differing := [
            key for key in ("backbone", "view", "weights") if key in identity and identity[key] != own[key]
        ]:
            raise DataError(
                f"index: expected a query by the network of {self.path}, {self.about['network']}. Received: {name}, which has "
                f"another {' and another '.join(differing)}. Make the index with that one: python -m tl_keras.embed."
            )


def require_index_name(path: pathlib.Path) -> None:
    """Raises an error unless vectors can be written to a file of this name.

    Raises:
      ConfigError: The suffix says no known format.
      DependencyError: The package for it is missing.
    """
    require_suffix(path, SUFFIXES)


def write_index(
    path: pathlib.Path,
    blocks: Iterable[np.ndarray],
    *,
    dimension: int,
    names: Sequence[str],
    sizes: np.ndarray,
    about: dict[str, Any],
) -> None:
    """Writes vectors block by block, completely or not at all.

    Args:
      path: File to write; its suffix is one of `SUFFIXES`.
      blocks: The vectors in order, float32 (k, dimension) each.
      dimension: Number of components of a vector.
      names: Names of the images.
      sizes: Heights and widths, int64 (n, 2).
      about: See `VectorIndex`.

    Raises:
      WorkdirError: The place is not writable, or the disk is full.
    """
    write = _write_npz if path.suffix == ".npz" else _write_parquet
    with writing(path, option="out"):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, option="out") as temporary:
        write(temporary, blocks, dimension, names, sizes, json.dumps(about))


def read_index(path: pathlib.Path) -> VectorIndex:
    """Reads what `write_index` wrote, into memory.

    Raises:
      DataError: There is no such file, or `embed` did not write it.
      DependencyError: The package for its format is missing.
    """
    expected = f"index: expected a file of python -m tl_keras.embed, {' or '.join(SUFFIXES)}."
    if not path.is_file():
        raise DataError(f"{expected} Received: {path}, which does not exist.")
    if path.suffix == ".parquet":
        require_index_name(path)
    try:
        features, names, sizes, about = _read_parquet(path) if path.suffix == ".parquet" else _read_npz(path)
        about = parse_json(about)
        identity = {key: about["identity"][key] for key in ("backbone", "view", "weights")}
        whole = features.ndim == 2 and len(features) == len(names) == len(sizes) > 0
        if not whole or not identity or not np.isfinite(features).all():
            raise ValueError(f"{len(features)} vectors, {len(names)} names")
        return VectorIndex(path, features, names, sizes, {"network": "another network", "made_with": {}, **about})
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{expected} Received: {path} ({type(error).__name__}: {error!s:.100}).") from error


def _write_npz(
    path: pathlib.Path,
    blocks: Iterable[np.ndarray],
    dimension: int,
    names: Sequence[str],
    sizes: np.ndarray,
    about: str,
) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("features.npy", "w", force_zip64=True) as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (len(names), dimension)}
            np.lib.format.write_array_header_1_0(file, header)
            for block in blocks:
                file.write(np.ascontiguousarray(block, "<f4").tobytes())
        for name, array in (("names", np.array(names, str)), ("sizes", sizes), ("about", np.array(about))):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def _read_npz(path: pathlib.Path) -> tuple[np.ndarray, list[str], np.ndarray, str]:
    check_npz(path)
    with np.load(path, allow_pickle=False) as file:
        features = np.ascontiguousarray(file["features"], np.float32)
        return features, file["names"].astype(str).tolist(), file["sizes"].astype(np.int64), str(file["about"])


def _write_parquet(
    path: pathlib.Path,
    blocks: Iterable[np.ndarray],
    dimension: int,
    names: Sequence[str],
    sizes: np.ndarray,
    about: str,
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("name", pa.string()),
            ("height", pa.int64()),
            ("width", pa.int64()),
            ("features", pa.list_(pa.float32(), dimension)),
        ],
        metadata={_ABOUT: about.encode()},
    )
    with pq.ParquetWriter(path, schema) as writer:
        for first, block in _with_first_row(blocks):
            some = slice(first, first + len(block))
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(block.astype(np.float32).ravel()), dimension)
            text = [name.encode("utf-8", "replace").decode() for name in names[some]]
            columns = [pa.array(text), pa.array(sizes[some, 0]), pa.array(sizes[some, 1]), vectors]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _read_parquet(path: pathlib.Path) -> tuple[np.ndarray, list[str], np.ndarray, bytes]:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    vectors = table.column("features").combine_chunks()
    features = np.array(vectors.flatten().to_numpy(), np.float32).reshape(len(table), -1)
    sizes = np.stack([table.column(name).to_numpy() for name in ("height", "width")], axis=1)
    return features, table.column("name").to_pylist(), sizes, (table.schema.metadata or {})[_ABOUT]


def _with_first_row(blocks: Iterable[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """Yields each block with the number of rows before it."""
    first = 0
    for block in blocks:
        yield first, block
        first += len(block)
