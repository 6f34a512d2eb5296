"""Answers the parts of a bulk prediction as an Apache Beam pipeline.

```
names.jsonl ─► (part, place in names.jsonl) ─► AnswerPart, a worker's one model ─► 000000.jsonl, 000001.jsonl, …
```
What is answered, and the table that is made of it, are those of `tl_keras.serving.bulk`.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.utils.shared import Shared

from tl_keras.config import DecisionConfig
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.serving.answering_models import Predictor
from tl_keras.serving.beam_runner import run_parts
from tl_keras.serving.bulk import Parts, Settings
from tl_keras.serving.image_inputs import ImageInput
from tl_keras.serving.predictor import load_predictor, predicted_rows, with_decision, with_views


@dataclasses.dataclass(frozen=True)
class Work:
    """The facts that a worker has to know.

    Attributes:
      model: Path of the model.
      decision: Decision in place of the model's own.
      views: Views over which it averages.
      parts: Where the rows go.
      names: File with the name of an image in each line, as JSON.
      settings: Settings that decide the rows.
    """

    model: str
    decision: DecisionConfig | None
    views: str
    parts: Parts
    names: pathlib.Path
    settings: Settings


class AnswerPart(beam.DoFn):
    """Writes the rows of a part of the images; the model is loaded once for all threads of a process."""

    def __init__(self, work: Work):
        self._work, self._shared = work, Shared()

    def setup(self) -> None:
        """Loads the model."""
        self._predictor: Predictor = self._shared.acquire(self._load)

    def _load(self) -> Predictor:
        predictor = with_views(load_predictor(self._work.model), self._work.views)
        return with_decision(predictor, self._work.decision)

    @with_own_keras_settings
    def process(self, element: tuple[int, int]) -> None:
        """Answers one part.

        Args:
          element: Number of the part, and the place of its first name in the file of names, in bytes.
        """
        number, place = element
        parts = self._work.parts
        with self._work.names.open("rb") as file:
            file.seek(place)
            inputs = [ImageInput(json.loads(file.readline())) for _ in parts.places(number)]
        parts.write(number, predicted_rows(self._predictor, inputs, **dataclasses.asdict(self._work.settings)))


def answer_with_beam(
    parts: Parts,
    model: pathlib.Path,
    inputs: Sequence[ImageInput],
    settings: Settings,
    *,
    decision: DecisionConfig | None = None,
    views: str = "none",
    options: Sequence[str] = (),
) -> None:
    """Answers the missing parts, in any order and several at a time.

    Args:
      parts: Where the rows go.
      model: Path of the model.
      inputs: Images, each a file.
      settings: Settings that decide the rows.
      decision: Decision in place of the model's own.
      views: Views over which it averages, as in `with_views`.
      options: Options of the pipeline, see `run_parts`.

    Raises:
      ConfigError: Beam does not know an option.
      WorkdirError: The pipeline fails.
    """
    names, missing = parts.folder / "names.jsonl", parts.missing()
    places = _write_names(names, inputs, [parts.places(part).start for part in missing])
    work = Work(str(model), decision, views, parts, names, settings)
    run_parts(zip(missing, places, strict=True), AnswerPart(work), options)


def _write_names(file: pathlib.Path, inputs: Sequence[ImageInput], wanted: Sequence[int]) -> list[int]:
    """Writes the names of all images, a line each, and returns the places in bytes of those wanted, which ascend."""
    places, left = [], iter([*wanted, -1])
    following, written = next(left), 0
    with file.open("wb") as opened:
        for number, image in enumerate(inputs):
            if number == following:
                places.append(written)
                following = next(left)
            written += opened.write(json.dumps(image.name).encode() + b"\n")
    return places
