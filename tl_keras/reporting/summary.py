"""Sums a finished run up: what it is worth beside what it is compared with, and what to do next."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable
from typing import Any

from tl_keras.backbones.specs import backbone_spec, takes_texts
from tl_keras.backbones.teacher_files import is_teacher_file
from tl_keras.config import DataConfig, DecisionConfig, ModelConfig, TransferConfig
from tl_keras.config.choices import label_kind_of
from tl_keras.console import in_words, number_of
from tl_keras.evaluation.beside_median import errors_beside_median
from tl_keras.evaluation.folds import is_too_wide
from tl_keras.evaluation.told import is_told
from tl_keras.reporting.finished_run import FinishedRun
from tl_keras.reporting.page import score_text

# Classes that are named for more labels, and the recall below which one is.
_MOST_CLASSES = 3
_MOST_NUMBERS = 3
_LOW_RECALL = 0.8
_LABELLED_BY = {"class": "label is", "order": "grade is", "labels": "labels are", "numbers": "numbers are"}

# Pixels from which on images are large already, and the part of the head's rate at which the teacher learnt small things best.
_LARGE, _RATE_FOR_SMALL_THINGS = 400, 0.1

# Options of the images that decide what is read, whose flags have their names.
_READING = ("data_dir", "splits", "columns", "class_order", "images_in", "group_by")


@dataclasses.dataclass(frozen=True)
class Step:
    """Something to do next.

    Attributes:
      text: Sentence that says what, and why.
      command: Command that does it, or empty.
    """

    text: str
    command: str = ""


def verdict(run: FinishedRun) -> str:
    """Returns a sentence on what the score is worth."""
    result = run.result
    parts = _against_one_answer(run)
    head_is_told = is_told(result, "validation") and not result.folds  # whose head was measured on other images
    if result.head_validation_score is not None and head_is_told:
        gain = result.validation_score - result.head_validation_score
        head = score_text(result.head_validation_score, run)
        if result.fine_tuning_undone:
            parts.append(f"fine-tuning did harm and was undone: the head alone is kept ({head} on validation)")
        elif gain > 0:
            parts.append(
                f"fine-tuning raised validation from {head}, the head alone, to {score_text(result.validation_score, run)}"
            )
        elif gain < 0:
            tuned = score_text(result.validation_score, run)
            parts.append(f"fine-tuning lowered validation from {head}, the head alone, to {tuned}, which may be chance")
        else:
            parts.append(f"fine-tuning gained nothing on validation over the head alone, {head}")
    if not parts:
        return ""
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _against_one_answer(run: FinishedRun) -> list[str]:
    """Returns what the run is worth beside one answer for all images: by its score, or by errors beside those of the median."""
    result, (low, high) = run.result, run.interval
    baseline = result.baseline_score
    if baseline is not None:
        than = _judged(low > baseline, high < baseline)
        return [f"{than} one answer for all, whose {in_words(result.score_name)} is {score_text(baseline, run)}"]
    folds = result.folds["number"] if result.folds and run.split == "validation" else 0
    errors = errors_beside_median(result.measures, folds=folds)
    errors.sort(key=lambda each: (not each.is_worse, each.is_better))
    groups: dict[str, list[str]] = {}
    for each in errors[:_MOST_NUMBERS]:
        groups.setdefault(_judged(each.is_better, each.is_worse), []).append(each.describe())
    parts = [f"{than} the median for all: {', '.join(found)}" for than, found in groups.items()]
    return [*parts, f"and {len(errors) - _MOST_NUMBERS} more"] if len(errors) > _MOST_NUMBERS else parts


def _judged(better: bool, worse: bool) -> str:
    return "clearly better than" if better else "clearly worse than" if worse else "not clearly better than"


def out_of_fold(run: FinishedRun) -> str:
    """Returns what the folds of a run say of all its labelled images, as a sentence without its end."""
    assert run.result.folds
    low, high = (score_text(end, run) for end in run.result.folds["interval"])
    return (
        f"Out of fold, each answered by a model that had not seen it, their {in_words(run.result.score_name)} is "
        f"{score_text(run.result.validation_score, run)} (95% interval {low} to {high})"
    )


def next_steps(run: FinishedRun, classes: list[dict[str, Any]], *, in_memory: bool) -> list[Step]:
    """Returns what to do next, the most useful first.

    Args:
      run: The run.
      classes: Rows of each class with `class`, `recall` and `examples`, or none in tasks that have no such measures.
      in_memory: Whether the images were in memory, so that no command can name them.
    """
    steps, config, result = [], run.config, run.result
    data = [] if in_memory else _data_flags(config)
    as_trained = data and [*data, *_teacher_flags(config.model), *_decision_flags(config.decision)]
    folds = [f"--folds={result.folds['number']}"] if result.folds else []
    found = {row["class"]: row["recall"] if row["examples"] else -1.0 for row in classes}
    weak = sorted((name for name in found if found[name] < _LOW_RECALL), key=lambda name: found[name])
    if weak:
        names = ", ".join(
            f"{name} ({'none measured' if found[name] < 0 else f'{found[name]:.0%} found'})"
            for name in weak[:_MOST_CLASSES]
        )
        text = f"Label more {result.inputs} of the classes that are found least: {names}."
        if config.model.max_tokens == 0 and label_kind_of(config.task) == "class" and not in_memory:
            text += " In a folder of images without labels, this finds those that are worth most:"
            steps.append(Step(text, _command("label_next", f"--workdir={run.path}", "--data=unlabelled/")))
        else:
            steps.append(Step(text))
    if data and config.model.max_tokens == 0:
        labelled = _LABELLED_BY[label_kind_of(config.task)]
        steps.append(Step(f"Look at images whose {labelled} likely wrong.", _command("inspect", *data)))
    distilled = bool(config.distillation.teacher_run)  # which folds refuse
    if not (result.folds or distilled) and data and is_too_wide(run.interval):
        measure = "measures" if run.images == 1 else "measure"
        measured = number_of(run.images, result.inputs[:-1])
        text = f"{measured} {measure} roughly: have each labelled one predicted by a model that has not seen it."
        method = [] if result.method == TransferConfig().model.method else [f"--method={result.method}"]
        steps.append(Step(text, _command("train", *as_trained, *method, "--folds=5", f"--workdir={run.path}_folds")))
    if data and result.method == "fine_tune" and config.model.output_stride and 0 < config.model.image_size < _LARGE:
        steps.append(_larger_images(run, as_trained))
    if data and result.method == "fine_tune":
        steps.append(
            Step("Try other cuts and rates.", _command("sweep", *as_trained, *folds, f"--workdir={run.path}_sweep"))
        )
    elif data and result.method == "feature_extraction":
        step = Step(
            "Train the layers of the teacher too.",
            _command("train", *as_trained, "--method=fine_tune", *folds, f"--workdir={run.path}_tuned"),
        )
        steps.append(step)
    if data and config.model.max_tokens == 0:
        steps.append(Step("Ask which teacher suits these images best.", _command("advise", *data)))
    return steps


def _larger_images(run: FinishedRun, as_trained: list[str]) -> Step:
    """Returns what tells small things better, which a run that has chosen a finer map is about; docs/benchmarks.md has boards."""
    flags = [flag for flag in as_trained if not flag.startswith("--image_size=")]
    turned = ["--config.data.horizontal_flip=on", "--config.data.quarter_turns=on"]
    rate = f"--config.training.fine_tune_learning_rate_factor={_RATE_FOR_SMALL_THINGS:g}"
    how = [f"--image_size={2 * run.config.model.image_size}", "--batch_size=8", rate, *turned]
    return Step(
        "Small things decide here. On printed boards, images of twice the size, turned, and a higher rate gained three points "
        "together, in four times the time. Leave the turns out where images have an upright.",
        _command("train", *flags, *how, f"--workdir={run.path}_larger"),
    )


def _data_flags(config: TransferConfig) -> list[str]:
    """Returns the flags by which a command reads the images of a run."""
    chosen = _chosen(config.data, _READING)
    task = {} if config.task == "auto" else {"task": config.task}
    return [f"--{name}={value}" for name, value in {"data": config.data.source, **chosen, **task}.items()]


def _decision_flags(decision: DecisionConfig) -> list[str]:
    """Returns the flags by which a run decides between classes, which have the names of the options."""
    usual = DecisionConfig()
    chosen = {field.name: getattr(decision, field.name) for field in dataclasses.fields(decision)}
    return [f"--{name}={value}" for name, value in chosen.items() if value != getattr(usual, name)]


def _teacher_flags(model: ModelConfig) -> list[str]:
    """Returns the flags by which a command takes the teacher of a run, its width and size, and ends and pools it as the run did."""
    usual = ModelConfig()
    has_widths = not (takes_texts(model.backbone) or is_teacher_file(model.backbone))
    if has_widths:
        spec = backbone_spec(model.backbone)
        weights = {each.name: each for each in spec.weights}.get(model.weights, spec.default_weights)
        usual.alpha, usual.image_size = weights.alpha, weights.preprocess.image_size
    chosen = {
        "backbone": model.backbone != usual.backbone,
        "weights": model.weights not in (usual.weights, "none"),  # random ones are those of the method
        "alpha": has_widths and model.alpha not in (0, usual.alpha),
        "image_size": model.image_size not in (0, usual.image_size),
        "config.model.output_stride": model.output_stride != 0,
        "config.model.pooling": model.pooling not in ("", "average"),
    }
    return [f"--{flag}={getattr(model, flag.rpartition('.')[2])}" for flag, is_chosen in chosen.items() if is_chosen]


def _chosen(options: DataConfig | ModelConfig, names: Iterable[str]) -> dict[str, Any]:
    """Returns those of some options that are not at their defaults."""
    usual = type(options)()
    return {name: value for name in names if (value := getattr(options, name)) != getattr(usual, name)}


def snippet(run: FinishedRun) -> str:
    """Returns the lines of Python that use the model."""
    what = '"a text"' if run.config.model.max_tokens else '"photo.jpg"'
    return f"import tl_keras\n\nrun = tl_keras.Run({str(run.path)!r})\nprint(run.predict({what}))"


def _command(name: str, *flags: str) -> str:
    return shlex.join(["python", "-m", f"tl_keras.{name}", *flags])
