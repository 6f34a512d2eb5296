"""Classifies image files, or texts.

    python -m tl_keras.predict --model=run1 photo.jpg more_photos/
    python -m tl_keras.predict --model=run1/saved_model --format=jsonl --top_k=3 more_photos/
    python -m tl_keras.predict --model=run1 --out=answers.parquet photos/   (.csv, .jsonl or .parquet; the same command goes on)
    python -m tl_keras.predict --model=run1 --out=answers.parquet --beam photos/       (the same, on all cores or a cluster)
    python -m tl_keras.predict --model=run2 "What is a caldera?"        (a model of texts; see docs/text.md)
    python -m tl_keras.predict --model=run2 --texts=questions.txt       (a text per line, or csv:FILE with a column of texts)

--model is a run directory, a .keras file or the directory of an export, such as run1/litert. If a file is not an image, its row
says so, the other files are classified, and the exit status is 2.
"""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

from absl import flags

from tl_keras import beam_flags, command_line, option_flags, path_flags
from tl_keras.config import ANSWERED_VIEWS, DEFAULT_MAX_PIXELS, DecisionConfig, TransferConfig
from tl_keras.console import number_of, printable
from tl_keras.data.image_files import list_images
from tl_keras.errors import ConfigError

_MODEL = path_flags.define("model", None, "A run directory, a .keras file or the directory of an export.")
_FORMAT = flags.DEFINE_enum("format", "table", ["table", "jsonl"], "A table, or one JSON object per line.")
_TOP_K = flags.DEFINE_integer("top_k", 1, "Number of labels for each image.", lower_bound=1)
_MAX_PIXELS = flags.DEFINE_integer(
    "max_pixels",
    DEFAULT_MAX_PIXELS,
    "Largest number of pixels; a larger image gets an error in its row.",
    lower_bound=1,
)
_OUT = path_flags.define(
    "out", "", "File to write instead of printing: .csv, .jsonl or .parquet; a run that was stopped goes on."
)
beam_flags.define()
_TEXTS = path_flags.define("texts", "", "File of texts to classify: a .txt with a text per line, or csv:FILE.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Number of images at a time.", lower_bound=1)
_VIEWS = flags.DEFINE_enum(
    "test_time_augmentation",
    "none",
    ANSWERED_VIEWS,
    "Average the answers for an image and its mirror image, or for its middle and four corners: twice or five times the work.",
)
option_flags.define(("costs", "refuse_below"))


def main(arguments: list[str]) -> int:
    """Prints a row for each image on stdout; returns 2 if a file is not an image."""
    if not (arguments or _TEXTS.value) or not _MODEL.value:
        raise ConfigError(
            "flags: expected --model=RUN_DIRECTORY and image files or directories. Use --help to see the flags."
        )
    if _TEXTS.value and _OUT.value:
        raise ConfigError(
            f"texts: expected --texts=FILE without --out, which holds answers for images. Received: --out={_OUT.value}. Leave "
            "--out out, and the rows are printed."
        )
    if _TEXTS.value:
        from tl_keras.data.text_lines import read_texts

        arguments = [*arguments, *read_texts(_TEXTS.value)]
    beam = beam_flags.beam_options()
    if beam is not None and not _OUT.value:
        raise ConfigError("beam: expected --out=FILE, which the pipeline writes. Received: none.")
    config = TransferConfig()
    option_flags.apply(config)
    command_line.require_tensorflow()
    from tl_keras.serving.predictor import load_predictor, predict_images

    if _OUT.value:
        return _write(arguments, pathlib.Path(_MODEL.value), pathlib.Path(_OUT.value), config.decision, beam)
    predictor = load_predictor(_MODEL.value)
    if _TEXTS.value and not predictor.takes_texts:
        raise ConfigError(
            f"texts: expected a model of texts. Received: --texts={_TEXTS.value}, and a model of images. Name image files or "
            "directories."
        )
    if not predictor.takes_texts:  # which may have the name of a folder
        _print_notes(arguments)
    rows = predict_images(
        predictor,
        arguments,
        top_k=_TOP_K.value,
        batch_size=_BATCH_SIZE.value,
        max_pixels=_MAX_PIXELS.value,
        decision=config.decision,
        views=_VIEWS.value,
    )
    print("\n".join(json.dumps(row) for row in rows) if _FORMAT.value == "jsonl" else as_text(rows))
    left_out = errors_by_reason(rows)
    if left_out:
        print(f"error: {left_out}", file=sys.stderr)
    return 2 if left_out else 0


def _print_notes(arguments: list[str]) -> None:
    """Prints what is left out in folders."""
    for argument in arguments:
        _, notes = list_images(argument)
        for note in notes:
            print(f"images: {note}", file=sys.stderr)


def _write(
    arguments: list[str], model: pathlib.Path, out: pathlib.Path, decision: DecisionConfig, beam: list[str] | None
) -> int:
    """Writes a row for each image to a file; returns 2 if a file is not an image."""
    from tl_keras.serving.bulk import Parts, Settings, predict_to_file, require_format, require_model_of_images
    from tl_keras.serving.image_inputs import image_inputs
    from tl_keras.serving.predictor import load_predictor, with_decision, with_views

    require_format(out)
    predictor = with_decision(with_views(load_predictor(model), _VIEWS.value), decision)
    require_model_of_images(predictor)
    _print_notes(arguments)
    inputs, settings = image_inputs(arguments), Settings(_TOP_K.value, _BATCH_SIZE.value, _MAX_PIXELS.value)

    def answer(parts: Parts) -> None:
        from tl_keras.serving.beam_prediction import answer_with_beam

        answer_with_beam(parts, model, inputs, settings, decision=decision, views=_VIEWS.value, options=beam or [])

    written = predict_to_file(predictor, model, inputs, out, settings, answer=None if beam is None else answer)
    print(f"wrote: {out}, {number_of(written.images, 'row')}")
    if written.refused:
        print(f"error: {_refusals(written.refused, written.images)}", file=sys.stderr)
    return 2 if written.refused else 0


def _refusals(found: dict[str, tuple[int, str]], images: int) -> str:
    reasons = [f"{reason}: {count}, the first is {first}" for reason, (count, first) in sorted(found.items())]
    broken = sum(count for count, _ in found.values())
    return printable(f"{broken} of {number_of(images, 'file')} not answered; {'; '.join(reasons)}")


def errors_by_reason(rows: list[dict[str, Any]]) -> str:
    """Returns how many files were not classified, by reason, in one line; an empty string if all were."""
    files: dict[str, tuple[int, str]] = {}
    for row in rows:
        if "error" in row:
            reason = row["reason"] or "cannot be decoded"
            count, first = files.get(reason, (0, row["file"]))
            files[reason] = (count + 1, first)
    return _refusals(files, len(rows)) if files else ""


def as_text(rows: list[dict[str, Any]]) -> str:
    """Returns a line per image or text: file or text, then labels and scores."""
    files = [printable(row["file"] if "file" in row else row["text"]) for row in rows]
    width = max(map(len, files))
    return "\n".join(
        f"{file:<{width}}  " + (row["error"] if "error" in row else _answers(row))
        for file, row in zip(files, rows, strict=True)
    )


def _answers(row: dict[str, Any]) -> str:
    """Returns the labels and scores of a row, or its numbers with their intervals, as text."""
    if "values" in row:
        return "  ".join(
            f"{printable(each['column'])} {each['value']:.5g} ({each['low']:.5g} to {each['high']:.5g})"
            for each in row["values"]
        )
    ranked = row["labels"] if "labels" in row else row["top_k"]
    if (
        "refused" in row or "grade" in row
    ):  # a decision or a median, which the most probable labels follow if they are asked for
        answer = {"label": row["label"] or "refused", "score": row["score"]}
        ranked = [answer, *(ranked if len(ranked) > 1 else [])]
    return "  ".join(f"{printable(each['label'])} {each['score']:.4f}" for each in ranked) or "none"


if __name__ == "__main__":
    command_line.run(main, usage=__doc__)
