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
from tl_keras.reporting.summary import snippet, verdict

CARD = "README.md"

# What a label is, by its kind.
_LABELS = {"class": "class", "order": "grade", "labels": "label", "numbers": "number"}


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
    result, name = run.result, in_words(run.result.score_name)
    low, high = (score_text(end, run) for end in run.interval)
    told = is_told(result, run.split)
    score, interval = (score_text(result.score, run), f"{low} to {high}") if told else ("cannot be told", "-")
    labels = (run.path / "labels.txt").read_text(encoding="utf-8").splitlines()
    shown = ", ".join(labels[:20]) + (f" and {len(labels) - 20} more" if len(labels) > 20 else "")
    counts = {split: f"{count} {split}" for split, count in result.images.items()}
    if result.folds:  # the same images
        counts["validation"] = f"all of which {result.folds['number']} folds have measured"
    images = ", ".join(counts.values())
    again = (
        f" Then training began again on all {result.refit['images']} labelled {result.inputs}." if result.refit else ""
    )
    teacher_run = run.config.distillation.teacher_run
    beside = f" It learnt the answers of `{printable(teacher_run)}` beside the labels." if teacher_run else ""
    exports = "".join(f"- `{row['path']}`: {row['format']}, {row['megabytes']:.1f} MB\n" for row in result.export)
    return f"""---
{_metadata(run)}---

# {printable(run.name)}

{result.backbone} with weights {result.weights}, by {result.method}, trained with tl_keras and Keras.{beside}
It tells {number_of(len(labels), _LABELS[label_kind_of(run.config.task)])}: {shown}.

| {name} on {number_of(run.images, f"{run.split} {result.inputs[:-1]}")} | 95% interval | one answer for all |
|---|---|---|
| {score} | {interval} | {_baseline(run)} |

{verdict(run)}

## Use

```python
{snippet(run)}
```

`model.keras` also loads in plain Keras: it takes pixels from 0 to 255 and returns logits.

{exports}
## Training

{result.inputs.capitalize()} of `{printable(run.config.data.source)}`: {images}.
Epoch {result.kept_epoch} was kept ({result.kept_phase}).{again} `config.json` has every setting,
`splits.json` which of them was in which split, `report.html` the errors.

## Limits

The score holds for {result.inputs} like those it was measured on; for others, measure it:
`python -m tl_keras.evaluate --model=DIRECTORY --data={result.inputs.upper()}`.
"""


def _baseline(run: FinishedRun) -> str:
    return "-" if run.result.baseline_score is None else score_text(run.result.baseline_score, run)


def _metadata(run: FinishedRun) -> str:
    """Returns the metadata as lines of YAML; texts are written as in JSON, which YAML contains."""
    task = "text-classification" if run.config.model.max_tokens else "image-classification"
    metric = {
        "type": run.result.score_name,
        "value": round(run.result.score, 4),
        "name": in_words(run.result.score_name),
    }
    measured: dict[str, Any] = {
        "task": {"type": task},
        "dataset": {"name": printable(run.config.data.source), "type": "custom", "split": run.split},
        "metrics": [metric],
    }
    values: dict[str, Any] = {
        "library_name": "keras",
        "pipeline_tag": task,
        "tags": ["tl_keras", "transfer-learning", run.result.backbone],
        **({"base_model": begun} if (begun := repository_of(run.config.model.backbone)) else {}),
        "model-index": [{"name": printable(run.name), "results": [measured]}],
    }
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items())
