"""Measures a trained student on any source of images."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from tl_keras.config import (
    DEFAULT_MAX_PIXELS,
    DEFAULT_SIGNIFICANT_BITS,
    DecisionConfig,
    TransferConfig,
    from_json,
)
from tl_keras.console import in_words, number_of, printable
from tl_keras.data.inspection import Inspection, Reading, inspect_source, sentences_of_left_out
from tl_keras.data.pipeline import evaluation_order
from tl_keras.data.sources import NO_OPTIONS, Source, SourceOptions, open_source, open_source_of_run
from tl_keras.data.splits import Splits, hash_starts
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.errors import DataError
from tl_keras.evaluation.paired import paired_test
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.answering_models import Predictor
from tl_keras.serving.predictor import load_predictor, with_decision, with_views
from tl_keras.serving.view_averaging import VIEWS_IN_WORDS
from tl_keras.tasks.base import task_named
from tl_keras.user_folders import expanded

# Level of the test, as for every interval of this project.
_SURE = 0.05


@with_own_keras_settings
def evaluate_model(
    model: str | os.PathLike[str],
    source: Any,
    *,
    split: str = "",
    options: SourceOptions = NO_OPTIONS,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    batch_size: int = 32,
    decision: DecisionConfig | None = None,
    views: str = "none",
) -> dict[str, Any]:
    """Measures a trained model on images with labels.

    Example:
      ```python
      import tl_keras

      metrics = tl_keras.evaluate_model("run1", "photos/")
      print(metrics["accuracy"], metrics["examples"])
      for row in metrics["classes"]:
          print(row["class"], row["precision"], row["recall"])
      ```

    Args:
      model: A run directory, a `.keras` file or the directory of an export.
      source: Images as for training, or the name of their source. Its classes must be among the model's.
      split: `train`, `validation` or `test`, if the source declares it; empty for `test` if declared, else everything.
      options: Options for reading the source.
      max_pixels: Largest number of pixels of an image; larger images are left out.
      batch_size: Number of images at a time.
      decision: Decision in place of the model's own, by `costs` or `refuse_below`; None for the model's.
      views: Test-time augmentation, as in `predict_images`; its measures are compared with those without.

    Returns:
      The measures of the model's task, as a rule of `classification_metrics`; `split`; `noun`, the word for one input, `image` or
      `text`; with test-time augmentation its gain
      under `test_time_augmentation`; `undecodable`, the number of images
      left out, and `left_out`, a sentence for each reason; `trained_on`, how many of the others the run was trained on, if its
      directory can tell; and `notes` on this and on everything else that was left out.

    Raises:
      DataError: The source cannot be read, has classes that the model lacks, lacks the split, or has no image of it that can be
        decoded.
      BackboneError: The model cannot be read.
    """
    predictor = with_decision(load_predictor(model), decision)
    averaging = with_views(predictor, views)
    if options.task == "auto":
        of_model = predictor.task.label_kind == "order" and not options.class_order  # then the order is the model's
        options = dataclasses.replace(options, task="single_label" if of_model else predictor.task.name)
    source = open_source(source, options)
    declared = set(source.declared_splits.tolist()) - {""}
    split = split or ("test" if "test" in declared else "")
    if split and split not in declared:
        known = ", ".join(sorted(declared)) or "it declares none"
        raise DataError(f"split: expected one that the source declares ({known}). Received: {split}.")
    inspection = inspect_source(source, Reading(significant_bits=DEFAULT_SIGNIFICANT_BITS, max_pixels=max_pixels))
    of_split = source.declared_splits == split if split else np.ones(len(source), bool)
    indices = np.flatnonzero(inspection.decodable & of_split)
    if not len(indices):
        raise DataError(_none_in(split, source, inspection, of_split))
    answers = answered(averaging, source, indices, batch_size=batch_size)
    metrics = answers.measures()
    if views != "none":
        without = answered(predictor, source, indices, batch_size=batch_size)
        metrics["test_time_augmentation"] = {"views": views, **_gain(answers, without)}
    score = in_words(predictor.task.score_name)
    trained_on = _trained_on(model, source, inspection, indices)
    seen = (
        f"the run was trained on {trained_on} of {number_of(len(indices), source.noun)}: on others "
        f"its {score} is likely to be lower; "
        f"leave out those under {_trained_splits(model)} in its splits.json"
    )
    return {
        **metrics,
        "split": split or "all",
        "noun": source.noun,
        "undecodable": list(inspection.undecodable),
        "left_out": inspection.left_out(),
        "trained_on": trained_on,
        "notes": [*source.notes, *([seen] if trained_on else [])],
    }


def _none_in(split: str, source: Source, inspection: Inspection, of_split: np.ndarray) -> str:
    """Returns the message on a split, bool (n,), all of whose images are left out."""
    undecodable = of_split[~inspection.decodable]
    named = ([part[i] for i in np.flatnonzero(undecodable)] for part in (inspection.undecodable, inspection.reasons))
    return (
        f"{source.name}: expected {source.noun}s of split {split} that can be used. Received: "
        f"{'; '.join(sentences_of_left_out(*named, noun=source.noun))}. Replace them, or name another split."
    )


def _trained_on(
    model: str | os.PathLike[str], source: Source, inspection: Inspection, indices: np.ndarray
) -> int | None:
    """Returns how many of some images a run was trained on, or None if the model is not in a run directory.

    Images are recognised by content, or by name in runs of older versions.
    """
    run = _run_of(model)
    splits = run and run.read_splits()
    if not splits:
        return None
    if "train_sha256" in splits:
        known = set(splits["train_sha256"])
        return sum(content in known for content in hash_starts(inspection, indices))
    return len({source.ids[index] for index in indices.tolist()} & set(splits["train"]))


def _run_of(model: str | os.PathLike[str]) -> RunDirectory | None:
    """Returns the run directory that a model is in, if it is in one."""
    path = expanded(model).absolute()
    run = next((folder for folder in (path, *path.parents[:3]) if (folder / "splits.json").is_file()), None)
    return RunDirectory(run) if run else None


def _trained_splits(model: str | os.PathLike[str]) -> str:
    """Returns the entries of a run's `splits.json` that it was trained on, in words."""
    run = _run_of(model)
    result = run and run.read_result()
    return "train and validation" if result and result.refit else "train"


@with_own_keras_settings
def evaluate_run(workdir: str | os.PathLike[str], *, split: str = "test", batch_size: int = 32) -> dict[str, Any]:
    """Measures a finished run on one of its own splits.

    Args:
      workdir: Directory of the run.
      split: `train`, `validation` or `test`.
      batch_size: Number of images at a time.

    Returns:
      The measures of the model's task, as a rule of `classification_metrics`.

    Raises:
      DataError: The run's source can no longer be read or lacks an image of the split, or the split is empty.
    """
    _, source, splits = open_run(workdir)
    indices = getattr(splits, split)
    if not len(indices):
        raise DataError(f"{source.name}: expected images of split {split} of {workdir}. Received: none in it.")
    return measured(load_predictor(workdir), source, indices, batch_size=batch_size)


def open_run(workdir: str | os.PathLike[str], *, source: Source | None = None) -> tuple[TransferConfig, Source, Splits]:
    """Opens the images of a finished run.

    Args:
      workdir: Directory of the run.
      source: The run's images if they are in memory. None means the source in the run's config.

    Returns:
      The run's resolved config, its source and its splits.

    Raises:
      DataError: It is not a run directory, or its source can no longer be read or lacks an image.
    """
    run = RunDirectory(workdir)
    begun, splits = run.read_config(), run.read_splits()
    if begun is None or splits is None:
        lacking = ", ".join(name for name in ("config.json", "splits.json") if not (run.path / name).exists())
        raise DataError(
            f"workdir: expected a run directory. Received: {run.path}, without {lacking}. Train first; where the file was removed, "
            "the command that trained writes it again."
        )
    config = from_json(begun["config"])
    if source is None:
        source = open_source_of_run(config, workdir)
    found = Splits.from_json(splits, source)
    return config, _with_names_of_run(source, tuple(begun.get("class_names", source.class_names)), found), found


def _with_names_of_run(source: Source, names: tuple[str, ...], splits: Splits) -> Source:
    """Returns a source with the names of classes that a run has, whatever was added to the data since.

    Args:
      source: The images, as the data name them today.
      names: Names of the run.
      splits: Splits of the run; images outside of them may have any class.

    Raises:
      DataError: An image of the splits has a class that the run lacks.
    """
    if source.class_names == names:
        return source
    renamed = copy.copy(source)
    renamed.class_names = names
    if source.labelling.kind != "class":
        renamed.labels = source.labelling.in_order_of(source.labels, source.class_names, names)
        return renamed
    positions = {name: at for at, name in enumerate(names)}
    moved = np.array([positions.get(name, -1) for name in source.class_names])[source.labels]
    for index in np.concatenate([splits.train, splits.validation, splits.test]).tolist():
        if moved[index] < 0:
            raise DataError(
                f"data: expected the classes of the run ({', '.join(names[:20])}) for its images. Received: {source.ids[index]} of "
                f"{source.class_names[source.labels[index]]}. Give the images their labels of then, or train again."
            )
    renamed.labels = np.maximum(moved, 0)  # of a class that came later no image is in a split
    return renamed


@dataclasses.dataclass(frozen=True)
class Answered:
    """What a model answers for labelled images.

    Attributes:
      predictor: The model.
      outputs: float32 (n, outputs), as `Task.probabilities` makes them.
      labels: Labels of the images, with the model's numbers of classes.
    """

    predictor: Predictor
    outputs: np.ndarray
    labels: np.ndarray

    def measures(self) -> dict[str, Any]:
        """Returns the measures of the model's task."""
        task = self.predictor.task
        measures = task.measures(self.outputs, self.labels, self.predictor.class_names)
        return {**({} if task.label_kind == "class" else {"task": task.name}), **measures}


def _gain(averaging: Answered, without: Answered) -> dict[str, Any]:
    """Returns the score without averaging, and with one class per image how many images are answered better and worse."""
    found = {"without": without.measures()[without.predictor.task.score_name]}
    if without.predictor.task.label_kind != "class":
        return found
    right, right_without = (each.outputs.argmax(axis=1) == each.labels for each in (averaging, without))
    return found | dataclasses.asdict(paired_test(right, right_without))


def measured(predictor: Predictor, source: Source, indices: np.ndarray, *, batch_size: int) -> dict[str, Any]:
    """Returns the measures of a model's task for some images.

    Args:
      predictor: The model.
      source: Labelled images, whose classes are among the model's.
      indices: Images of the source, int64 (k,), all of which can be decoded.
      batch_size: Number of images at a time.
    """
    return answered(predictor, source, indices, batch_size=batch_size).measures()


def answered(predictor: Predictor, source: Source, indices: np.ndarray, *, batch_size: int) -> Answered:
    """Returns what a model answers for some images, as `measured` takes them."""
    order = evaluation_order(source, indices)
    labels = source.labelling.in_order_of(source.labels[order], source.class_names, predictor.class_names)
    images = source.images(indices).map(lambda element: element["image"])
    return Answered(predictor, predictor.probabilities(images, batch_size=batch_size), labels)


def as_text(metrics: dict[str, Any]) -> str:
    """Returns the measures as lines and a table."""
    task = task_named(metrics.get("task", "auto"))
    first, *others = task.describe(metrics)
    first += f"  ({number_of(metrics['examples'], metrics['noun'])}, split {metrics['split']})"
    if gain := metrics.get("test_time_augmentation"):
        others.append(_gain_as_text(gain, metrics[task.score_name], in_words(task.score_name)))
    return "\n".join([first, *map(printable, metrics["left_out"]), *others])


def _gain_as_text(gain: Mapping[str, Any], score: float, name: str) -> str:
    text = f"averaged over {VIEWS_IN_WORDS[gain['views']]}: {name} {score:.4f}, without {gain['without']:.4f}"
    if "better" not in gain:
        return text
    sure = "more than chance" if gain["p_value"] < _SURE else "no more than chance gives"
    return f"{text}; {gain['better']} answered better, {gain['worse']} worse (p = {gain['p_value']:.2f}): {sure}"
