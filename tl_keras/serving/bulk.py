"""Writes predictions for many images into a file, batch by batch, so that a run that was stopped goes on where it was.

While it runs, the rows are in a file beside the one that is wanted, of JSON lines: the first says what is predicted by what.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import importlib.util
import itertools
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from tl_keras.console import number_of, say
from tl_keras.data.progress_bar import progress_bar
from tl_keras.data.stamps import revision_of_files
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.errors import ConfigError, DataError, DependencyError
from tl_keras.files import replacing, writing
from tl_keras.serving.image_inputs import ImageInput
from tl_keras.serving.predictor import Predictor, predicted_rows
from tl_keras.untrusted import parse_json

# Number of rows that are written at a time, which a run that is stopped has to answer again at most.
_ROWS = 256
SUFFIXES = (".csv", ".jsonl", ".parquet")


@dataclasses.dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
      images: Number of images.
      refused: For each reason why images were not answered, their number and the first of them.
    """

    images: int
    refused: dict[str, tuple[int, str]]


def require_format(path: pathlib.Path) -> None:
    """Raises an error unless predictions can be written to a file of this name.

    Raises:
      ConfigError: The suffix says no known format.
      DependencyError: The package for it is missing.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"out: expected a name that ends in {', '.join(SUFFIXES)}. Received: {path}.")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise DependencyError("out: expected the package pyarrow for Parquet. Run: pip install 'tl_keras[tables]'")


@with_own_keras_settings
def predict_to_file(
    predictor: Predictor,
    model: pathlib.Path,
    inputs: Sequence[ImageInput],
    out: pathlib.Path,
    *,
    top_k: int,
    batch_size: int,
    max_pixels: int,
) -> Written:
    """Writes the rows of `predict_images` to a CSV, JSON lines or Parquet file, which appears when it is complete.

    Args:
      predictor: Model of images.
      model: Its path.
      inputs: Images, each a file.
      out: File to write; what an earlier run of the same images, model and settings left unfinished is gone on with.
      top_k: Number of labels for each image.
      batch_size: Number of images at a time.
      max_pixels: Largest number of pixels of an image.

    Raises:
      DataError: The model is one of texts.
      WorkdirError: The place is not writable, or the disk is full.
    """
    if predictor.takes_texts:
        raise DataError(
            "out: expected a model of images. Received: one of texts. Leave --out out, and its rows are printed."
        )
    settings = {"top_k": top_k, "max_pixels": max_pixels}
    about = {"of": _identity(model, inputs), "classes": list(predictor.class_names), **settings}
    partial = out.with_name(f".{out.name}.unfinished")
    with writing(out):
        done = _take_up(partial, about)
        if done:
            say(f"{out}: {number_of(done, 'image')} answered before, {len(inputs) - done:,} to go")
        rows = predicted_rows(predictor, inputs[done:], batch_size=batch_size, **settings)
        with partial.open("a", encoding="utf-8") as file, progress_bar("predicting", images=len(inputs) - done) as bar:
            while some := list(itertools.islice(rows, _ROWS)):
                file.write("".join(json.dumps(row) + "\n" for row in some))
                file.flush()
                bar.update(len(some))
        with replacing(out) as temporary:
            refused = _convert(partial, temporary)
        partial.unlink()
    return Written(len(inputs), refused)


def _identity(model: pathlib.Path, inputs: Sequence[ImageInput]) -> str:
    """Returns a hash of the names, sizes and times of the model's files and of the images."""
    files = sorted(each for each in model.rglob("*") if each.is_file()) if model.is_dir() else [model]
    weights = [each for each in files if each.suffix in (".keras", ".pb") or each.name.startswith("variables")]
    names = [image.name for image in inputs]
    told = json.dumps([str(model.absolute()), revision_of_files(weights), names, revision_of_files(names)])
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


def _take_up(partial: pathlib.Path, about: dict[str, Any]) -> int:
    """Returns the number of rows of an unfinished file that are to be kept, and cuts off what follows them; begins a new one."""
    whole, rows = 0, -1
    if partial.is_file():
        with partial.open("rb") as file:
            for number, line in enumerate(file):
                if not line.endswith(b"\n") or (number == 0 and not _says(line, about)):
                    break
                whole, rows = whole + len(line), rows + 1
    if rows < 0:
        partial.write_text(json.dumps(about) + "\n", encoding="utf-8")
        return 0
    with partial.open("r+b") as file:
        file.truncate(whole)
    return rows


def _says(line: bytes, about: dict[str, Any]) -> bool:
    try:
        return bool(parse_json(line) == about)
    except ValueError:
        return False


def _rows_of(file: TextIO) -> Iterator[dict[str, Any]]:
    file.readline()
    return map(json.loads, file)


def _convert(partial: pathlib.Path, out: pathlib.Path) -> dict[str, tuple[int, str]]:
    """Writes the rows in the format that the name says, and returns those that were refused by reason."""
    refused: dict[str, tuple[int, str]] = {}

    def counted(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for row in rows:
            if "error" in row:
                reason = row["reason"] or "cannot be decoded"
                count, first = refused.get(reason, (0, row["file"]))
                refused[reason] = (count + 1, first)
            yield row

    with partial.open(encoding="utf-8") as file:
        write = {".csv": _write_csv, ".jsonl": _write_lines, ".parquet": _write_parquet}[out.suffix]
        columns = _columns(partial)
        write(counted(_rows_of(file)), columns, out)
    return refused


def _columns(partial: pathlib.Path) -> list[str]:
    """Returns the names of the cells of the rows, in order, with `error` and `reason` last."""
    names: dict[str, None] = {}
    with partial.open(encoding="utf-8") as file:
        for row in _rows_of(file):
            names.update(dict.fromkeys(_cells(row)))
    return [*(name for name in names if name not in ("error", "reason")), "error", "reason"]


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a row without nesting: what is a list of records becomes JSON."""
    return {name: json.dumps(value) if isinstance(value, (list, dict)) else value for name, value in row.items()}


def _write_lines(rows: Iterator[dict[str, Any]], columns: list[str], out: pathlib.Path) -> None:
    with out.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def _write_csv(rows: Iterator[dict[str, Any]], columns: list[str], out: pathlib.Path) -> None:
    with out.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(_cells, rows))


def _write_parquet(rows: Iterator[dict[str, Any]], columns: list[str], out: pathlib.Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = ("score",)
    schema = pa.schema([(name, pa.float64() if name in numbers else pa.string()) for name in columns])
    with pq.ParquetWriter(out, schema) as writer:
        while some := list(itertools.islice(rows, 10_000)):
            cells = [_cells(row) for row in some]
            arrays = [
                pa.array([_typed(row.get(name), name in numbers) for row in cells], schema.field(name).type)
                for name in columns
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _typed(value: Any, is_number: bool) -> Any:
    if value is None or is_number:
        return value
    return str(value).encode("utf-8", "replace").decode()
