"""Writes predictions for many images into a file, part by part, so that a run that was stopped goes on where it was.

While it runs, the parts are in a folder beside the file that is wanted; `about.json` there says what is predicted by what. Which
images are answered together depends on their places alone, so that a part has the same rows whoever answers it, and when.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import itertools
import json
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tl_keras.console import number_of, say
from tl_keras.data.progress_bar import progress_bar
from tl_keras.data.stamps import revision_of_files
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.errors import DataError
from tl_keras.files import remove, replacing, require_suffix, writing
from tl_keras.serving.answering_models import Predictor
from tl_keras.serving.image_inputs import ImageInput
from tl_keras.serving.predictor import predicted_rows

# Number of images in a part, which a run that is stopped has to answer again at most: a 64th, within these bounds.
_FEWEST_IN_A_PART, _MOST_IN_A_PART = 256, 4096
SUFFIXES = (".csv", ".jsonl", ".parquet")
_HOLD_WEIGHTS = (".keras", ".pb", ".tflite", ".onnx", ".bin")


@dataclasses.dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
      images: Number of images.
      refused: For each reason why images were not answered, their number and the first of them.
    """

    images: int
    refused: dict[str, tuple[int, str]]


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings that decide the rows.

    Attributes:
      top_k: Number of labels for each image.
      batch_size: Number of images at a time.
      max_pixels: Largest number of pixels of an image.
    """

    top_k: int
    batch_size: int
    max_pixels: int


@dataclasses.dataclass(frozen=True)
class Parts:
    """The rows of some images in parts, each a file of JSON lines that is there when it is complete.

    Attributes:
      folder: Directory of the parts.
      images: Number of images.
      size: Number of images in each part but the last, a multiple of that in a batch.
    """

    folder: pathlib.Path
    images: int
    size: int

    @classmethod
    def of(cls, out: pathlib.Path, images: int, batch_size: int) -> Parts:
        """Returns the parts of what becomes a file."""
        wanted = min(max(images // 64, _FEWEST_IN_A_PART), _MOST_IN_A_PART)
        return cls(out.with_name(f".{out.name}.unfinished"), images, -(-wanted // batch_size) * batch_size)

    def begin(self, about: dict[str, Any]) -> None:
        """Keeps the parts of an earlier run that was about the same, and removes those of another."""
        told, text = self.folder / "about.json", json.dumps(about)
        if not told.is_file() or told.read_text(encoding="utf-8") != text:
            remove(self.folder)
            self.folder.mkdir()
            with replacing(told) as temporary:
                temporary.write_text(text, encoding="utf-8")

    def missing(self) -> list[int]:
        """Returns the numbers of the parts that are not answered."""
        return [number for number in range(-(-self.images // self.size)) if not self._file(number).is_file()]

    def places(self, number: int) -> range:
        """Returns the places of a part's images among all."""
        return range(number * self.size, min((number + 1) * self.size, self.images))

    def write(self, number: int, rows: Iterator[dict[str, Any]]) -> None:
        """Writes the next rows as a part, completely or not at all."""
        wanted = len(self.places(number))
        with replacing(self._file(number)) as temporary, temporary.open("w", encoding="utf-8") as file:
            written = sum(file.write(json.dumps(row) + "\n") > 0 for row in itertools.islice(rows, wanted))
            assert written == wanted, f"{written} rows of {wanted}"

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yields all rows in order."""
        for number in range(-(-self.images // self.size)):
            with self._file(number).open(encoding="utf-8") as file:
                yield from map(json.loads, file)

    def _file(self, number: int) -> pathlib.Path:
        return self.folder / f"{number:06}.jsonl"


def require_format(path: pathlib.Path) -> None:
    """Raises an error unless predictions can be written to a file of this name.

    Raises:
      ConfigError: The suffix says no known format.
      DependencyError: The package for it is missing.
    """
    require_suffix(path, SUFFIXES)


def require_model_of_images(predictor: Predictor) -> None:
    """Raises an error where a model answers for texts, whose rows are not written to a file.

    Raises:
      DataError: The model is one of texts.
    """
    if predictor.takes_texts:
        raise DataError(
            "out: expected a model of images. Received: one of texts. Leave --out out, and its rows are printed."
        )


@with_own_keras_settings
def predict_to_file(
    predictor: Predictor,
    model: pathlib.Path,
    inputs: Sequence[ImageInput],
    out: pathlib.Path,
    settings: Settings,
    *,
    answer: Callable[[Parts], None] | None = None,
) -> Written:
    """Writes the rows of `predict_images` to a CSV, JSON lines or Parquet file, which appears when it is complete.

    Args:
      predictor: Model of images.
      model: Its path.
      inputs: Images, each a file.
      out: File to write; what an earlier run of the same images, model and settings left unfinished is gone on with.
      settings: Settings that decide the rows.
      answer: Function that answers the missing parts; by default this process does, one after the other.

    Raises:
      DataError: The model is one of texts.
      WorkdirError: The place is not writable, or the disk is full.
    """
    require_model_of_images(predictor)
    about = {
        "of": _identity(model, inputs),
        "classes": list(predictor.class_names),
        "task": predictor.task.facts(),
        "views": predictor.views,
        **dataclasses.asdict(settings),
    }
    parts = Parts.of(out, len(inputs), settings.batch_size)
    with writing(out, option="out"):
        parts.begin(about)
        left = sum(len(parts.places(number)) for number in parts.missing())
        if left < len(inputs):
            say(f"{out}: {number_of(len(inputs) - left, 'image')} answered before, {left:,} to go")
        if left and answer:
            answer(parts)
        elif left:
            _answer(predictor, inputs, parts, settings)
        with replacing(out) as temporary:
            refused = _convert(parts, temporary)
        remove(parts.folder)
    return Written(len(inputs), refused)


def _answer(predictor: Predictor, inputs: Sequence[ImageInput], parts: Parts, settings: Settings) -> None:
    """Answers the missing parts one after the other, in one stream, so that images are decoded across their bounds."""
    missing = parts.missing()
    left = [inputs[place] for number in missing for place in parts.places(number)]
    rows = predicted_rows(predictor, left, **dataclasses.asdict(settings))
    with progress_bar("predicting", images=len(left)) as bar:
        for number in missing:
            parts.write(number, rows)
            bar.update(len(parts.places(number)))


def _identity(model: pathlib.Path, inputs: Sequence[ImageInput]) -> str:
    """Returns a hash of the names, sizes and times of the model's files and of the images."""
    files = sorted(each for each in model.rglob("*") if each.is_file()) if model.is_dir() else [model]
    weights = [each for each in files if each.suffix in _HOLD_WEIGHTS or each.name.startswith("variables")]
    names = [image.name for image in inputs]
    told = json.dumps([str(model.absolute()), revision_of_files(weights), names, revision_of_files(names)])
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


def _convert(parts: Parts, out: pathlib.Path) -> dict[str, tuple[int, str]]:
    """Writes the rows in the format that the name says, and returns those that were refused by reason."""
    refused: dict[str, tuple[int, str]] = {}

    def counted(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for row in rows:
            if "error" in row:
                reason = row["reason"] or "cannot be decoded"
                count, first = refused.get(reason, (0, row["file"]))
                refused[reason] = (count + 1, first)
            yield row

    write = {".csv": _write_csv, ".jsonl": _write_lines, ".parquet": _write_parquet}[out.suffix]
    write(counted(parts.rows()), _columns(parts), out)
    return refused


def _columns(parts: Parts) -> list[str]:
    """Returns the names of the cells of the rows, in order, with `error` and `reason` last."""
    names: dict[str, None] = {}
    for row in parts.rows():
        names.update(dict.fromkeys(row))
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

    kinds = {"score": pa.float64(), "expected_grade": pa.float64(), "grade": pa.int64(), "refused": pa.bool_()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in columns])
    with pq.ParquetWriter(out, schema) as writer:
        while some := list(itertools.islice(rows, 10_000)):
            cells = [_cells(row) for row in some]
            arrays = [
                pa.array([_typed(row.get(name), name not in kinds) for row in cells], schema.field(name).type)
                for name in columns
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _typed(value: Any, is_text: bool) -> Any:
    return str(value).encode("utf-8", "replace").decode() if is_text and value is not None else value
