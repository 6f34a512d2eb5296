"""Writes a run's `README.md`, a model card with the metadata that the Hugging Face Hub reads, from its result alone."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

from tl_keras.backbones.hugging_face import repository_of
from tl_keras.config.choices import label_kind_of
from tl_keras.console import in_words, number_of, printable
from tl_keras.evaluation.told import is_told
from tl_keras.files import replacing
from tl_keras.reporting.finished_run import FinishedRun, read_run
from tl_keras.reporting.page import score_text
from tl_keras.reporting.summary import out_of_fold, snippet, verdict

CARD = "README.md"


def write_model_card(workdir: str | os.PathLike[str]) -> pathlib.Path:
    """Writes the model card of a finished run, and returns its path.

    Args:
      workdir: Directory of the run.

    Raises:
      DataError: The run is not finished.
      WorkdirError: The place is not writable.
    """
    run = read_run(workdir)
    path = run.path / CARD
    with replacing(path) as temporary:
        temporary.write_text(card(run), encoding="utf-8")
    return path


def card(run: FinishedRun) -> str:
    """Returns the text of a run's model card: metadata in YAML, then what a reader asks first."""
    result = run.result
    low, high = (score_text(end, run) for end in run.interval)
    told = is_told(result, run.split)
    score, interval = (score_text(result.score, run), f"{low} to {high}") if told else ("cannot be told", "-")
    again = (
        f" Then training began again on all {result.refit['images']} {result.inputs} of training and validation."
        if result.refit
        else ""
    )
    teacher_run = run.config.distillation.teacher_run
    beside = f" It learnt the answers of `{printable(teacher_run)}` beside the labels." if teacher_run else ""
    exports = "".join(f"- `{row['path']}`: {row['format']}, {row['megabytes']:.1f} MB\n" for row in result.export)
    return f"""---
{_metadata(run)}---

# {printable(run.name)}

{result.backbone} with weights {result.weights}, by {result.method}, trained with tl_keras and Keras.{beside}
{_tells(run)}

| {_score_of(run)} | 95% interval | one answer for all |
|---|---|---|
| {score} | {interval} | {_baseline(run)} |

{f"{out_of_fold(run)}. " if result.folds else ""}{verdict(run)}

## Use

```python
{snippet(run)}
```

`model.keras` also loads in plain Keras: {_takes_and_returns(run)}.

{exports}
## Training

{result.inputs.capitalize()} of `{printable(run.config.data.source)}`: {_images(run)}.
Epoch {result.kept_epoch} was kept ({result.kept_phase}).{again} `config.json` has every setting,
`splits.json` which of them was in which split, `report.html` the errors.

## Limits

The score holds for {result.inputs} like those it was measured on; for others, measure it:
`python -m tl_keras.evaluate --model=DIRECTORY --data={result.inputs.upper()}`.
"""


def _tells(run: FinishedRun) -> str:
    """Returns a sentence on what the model answers."""
    names = (run.path / "labels.txt").read_text(encoding="utf-8").splitlines()
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    thing = "a text" if run.result.inputs == "texts" else "an image"
    says = {
        "class": f"tells {number_of(len(names), 'class')}",
        "order": f"tells {number_of(len(names), 'grade')}, the lowest first",
        "labels": f"says which of {number_of(len(names), 'label')} {thing} has",
        "numbers": f"gives {number_of(len(names), 'number')}",
    }[label_kind_of(run.config.task)]
    return f"It {says}: {shown}."


def _takes_and_returns(run: FinishedRun) -> str:
    takes = "tokens" if run.config.model.max_tokens else "pixels from 0 to 255"
    returns = "logits"
    if label_kind_of(run.config.task) == "numbers":
        returns = "standardised numbers, which `tl_keras.Run` gives in their units"
    return f"it takes {takes} and returns {returns}"


def _is_out_of_fold(run: FinishedRun) -> bool:
    """Returns whether the score of the run is that of its folds, and not of test images beside them."""
    return bool(run.result.folds) and run.result.test_score is None


def _score_of(run: FinishedRun) -> str:
    """Returns the name of the score and what it was measured on."""
    name, inputs = in_words(run.result.score_name), run.result.inputs
    if (folds := run.result.folds) and _is_out_of_fold(run):
        return f"{name} out of fold on {folds['images']} labelled {inputs}"
    measured = number_of(run.images, f"{run.split} {inputs[:-1]}")
    return f"{name} on {measured}"


def _images(run: FinishedRun) -> str:
    """Returns the number of images of each split; with folds, every labelled one was trained on and measured."""
    images, folds = run.result.images, run.result.folds
    if folds is None:
        return ", ".join(f"{count} {split}" for split, count in images.items())
    test = f", and {images['test']} test" if images.get("test") else ""
    return f"all {folds['images']} labelled ones, in {folds['number']} folds{test}"


def _baseline(run: FinishedRun) -> str:
    return "-" if run.result.baseline_score is None else score_text(run.result.baseline_score, run)


def _metadata(run: FinishedRun) -> str:
    """Returns the metadata as lines of YAML; texts are written as in JSON, which YAML contains."""
    of_numbers = label_kind_of(run.config.task) == "numbers"
    task = f"{'text' if run.config.model.max_tokens else 'image'}-{'regression' if of_numbers else 'classification'}"
    metric = {
        "type": run.result.score_name,
        "value": round(run.result.score, 4),
        "name": in_words(run.result.score_name),
    }
    measured: dict[str, Any] = {
        "task": {"type": task},
        "dataset": {
            "name": printable(run.config.data.source),
            "type": "custom",
            "split": "out of fold" if _is_out_of_fold(run) else run.split,
        },
        "metrics": [metric],
    }
    index = {"name": printable(run.name), "results": [measured]}
    values: dict[str, Any] = {
        "library_name": "keras",
        **({} if of_numbers else {"pipeline_tag": task}),  # the Hub has none for numbers
        "tags": ["tl_keras", "transfer-learning", run.result.backbone],
        **({"base_model": begun} if (begun := repository_of(run.config.model.backbone)) else {}),
        # A score that cannot be told is a number that says nothing.
        **({"model-index": [index]} if is_told(run.result, run.split) else {}),
    }
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items())
