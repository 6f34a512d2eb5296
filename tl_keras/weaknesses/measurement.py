"""Measures a finished run on corrupted photos and under attack, next to its teacher."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

import keras
import numpy as np
import tensorflow as tf

from tl_keras.console import number_of, say
from tl_keras.data.base import in_parallel, require_images
from tl_keras.data.pipeline import evaluation_images, evaluation_order
from tl_keras.data.sources import Source
from tl_keras.data.splits import Splits
from tl_keras.data.text_lines import text_of
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.errors import ConfigError, DataError
from tl_keras.evaluation.metrics import accuracy_interval
from tl_keras.experiments.measure import open_run
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.model_file import TrainedModel, load_model
from tl_keras.serving.student_statistics import evenly
from tl_keras.weaknesses.attacks import fgsm, pgd, slope_of_loss
from tl_keras.weaknesses.audit_record import Audit, Condition, Mimicry
from tl_keras.weaknesses.corruptions import CORRUPTIONS, Corruption, corrupt
from tl_keras.weaknesses.mimicry import Mimic
from tl_keras.weaknesses.public_teacher import Depth, PublicTeacher, load_public_teacher, spread_depths
from tl_keras.weaknesses.task_measurement import audit_task

if TYPE_CHECKING:
    from tl_keras.text.tokenizing import TextPreprocess

# Grey levels of 255 by which an attack may change every pixel. Papers on defences use 4 or 8; a network that was never
# attacked in training hardly has a right answer left at 1.
STRENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
_MIMICRY_STRENGTH = 4.0
_STEPS = 10  # of PGD and mimicry; mimicry took 77% of 30 flowers with 10 steps, and 83% with 20 and with 40

_BATCH = 32  # images at a time

# For a rough estimate of the time: number of gradients that PGD computes for an image until its answer has changed, over all
# strengths, and the cost of a gradient through the layers below an edge relative to one through all layers.
_PGD_SLOPES = 12
_PART_BELOW_AN_EDGE = 0.8


@dataclasses.dataclass(frozen=True)
class _Sample:
    """The images that are corrupted and attacked.

    Attributes:
      split: Split that they are from.
      images: float32 (n, image_size, image_size, 3), RGB, 0 to 255, the network's input.
      labels: int64 (n,).
      targets: int64 (n,), for each image the position of an image of another class.
      seed: Seed of all random numbers.
    """

    split: str
    images: np.ndarray
    labels: np.ndarray
    targets: np.ndarray
    seed: int


class _Classifier:
    """A network with its answers for the unchanged images, int64 (n,)."""

    def __init__(self, model: keras.Model, sample: _Sample):
        self.slope = slope_of_loss(model)
        self._answer = tf.function(
            lambda images: tf.argmax(model(images, training=False), axis=-1),
            input_signature=[tf.TensorSpec(model.input_shape)],
            autograph=False,
        )
        self.clean = self.answers(sample.images)

    def answers(self, images: np.ndarray) -> np.ndarray:
        return np.concatenate([self._answer(images[rows]).numpy() for rows in _batches(np.arange(len(images)))])


# A classifier's answers under an attack, int64 (n,) for each of `STRENGTHS`.
_Attack = Callable[[_Classifier, _Sample], list[np.ndarray]]


@with_own_keras_settings
def audit_run(
    workdir: str | os.PathLike[str], *, images: int = 100, with_teacher: bool = True, source: Source | None = None
) -> Audit:
    """Measures the accuracy that a finished run keeps on corrupted photos and under attack, or on texts that are spelt otherwise.

    Example:
      ```python
      import tl_keras

      audit = tl_keras.audit_run("run1", images=10, with_teacher=False)
      print(audit.advice)
      for row in audit.conditions:
          print(row.name, row.strength, row.accuracy)
      ```

    Args:
      workdir: Directory of the run.
      images: Largest number of test images to use, each class in proportion; validation images if there is no test split,
        and where folds left none, those that the model was trained on.
      with_teacher: Whether to measure the teacher too, with its own 1000 classes.
      source: The run's images if they are in memory. None means the source in the run's config.

    Raises:
      ConfigError: Keras does not run on TensorFlow.
      DataError: It is not a run, its images can no longer be read or all belong to one class, or its model's outputs do not
        stand for the classes.
      BackboneError: The model, or the weights of its teacher, cannot be loaded.
    """
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            "audit: expected Keras on TensorFlow, which computes the attacks. Received: Keras on "
            f"{keras.backend.backend()}. Set KERAS_BACKEND=tensorflow before Keras is imported."
        )
    began = time.perf_counter()
    config, source, splits = open_run(workdir, source=source)
    trained = load_model(RunDirectory(workdir).model)
    if trained.task.label_kind != "class":
        return _audit_task(trained, source, splits, most=images, seed=config.seed)
    _require_output_per_class(trained)
    if source.noun == "text":
        return _audit_texts(trained, source, splits, most=images, seed=config.seed)
    sample = _draw(source, splits, trained, images=images, seed=config.seed)
    student = _Classifier(trained.model, sample)
    public = load_public_teacher(config.model)
    depths = spread_depths(public, trained.model.get_layer("backbone"), config.model) if public else []
    teacher, remark = (
        _teacher(public, sample) if with_teacher else (None, "No figures of the teacher: it was left out.")
    )
    _say_how_long(student, sample, classifiers=1 + bool(teacher), depths=len(depths))

    conditions = [
        *_under_corruptions(student, teacher, sample),
        *_under_attack("FGSM", _fgsm_answers, student, teacher, sample),
        *_under_attack(f"PGD, {_STEPS} steps", _pgd_answers, student, teacher, sample),
    ]
    mimicry = [_under_mimicry(depth, student, teacher, sample) for depth in depths]
    return Audit(
        split=sample.split,
        images=len(sample.labels),
        seed=sample.seed,
        **_accuracy(student.clean == sample.labels),
        conditions=tuple(conditions),
        mimicry=tuple(mimicry),
        chance=float(np.mean(student.clean == sample.labels[sample.targets])),
        remark=remark,
        seconds=time.perf_counter() - began,
    )


def _audit_texts(trained: TrainedModel, source: Source, splits: Splits, *, most: int, seed: int) -> Audit:
    """Returns the findings on texts, which are changed by other rules and not attacked."""
    from tl_keras.weaknesses.text_measurement import audit_texts

    split, drawn = _draw_rows(source, splits, np.random.default_rng(seed), most)
    texts = [text_of(source, index) for index in drawn.tolist()]
    preprocess = cast("TextPreprocess", trained.preprocess)
    return audit_texts(trained.model, preprocess, texts, source.labels[drawn], split=split, seed=seed)


def _audit_task(trained: TrainedModel, source: Source, splits: Splits, *, most: int, seed: int) -> Audit:
    """Returns the findings on a run of several labels, grades or numbers, by the score of its task."""
    require_images(source.noun, command="audit of this task")
    split, drawn = _draw_rows(source, splits, np.random.default_rng(seed), most)
    pixels = evaluation_images(source, drawn, transform=trained.preprocess.evaluation_transform)
    labels = source.labelling.in_order_of(source.labels[drawn], source.class_names, trained.class_names)
    return audit_task(
        trained.model,
        trained.task,
        pixels,
        labels,
        corrupted=lambda corruption, severity: _corrupted(pixels, corruption, severity, seed=seed),
        strengths=STRENGTHS,
        split=split,
        seed=seed,
    )


def _require_output_per_class(trained: TrainedModel) -> None:
    """Raises a DataError unless the largest logit is the answer that the attacks try to change."""
    outputs, classes = trained.model.output_shape[-1], len(trained.class_names)
    if outputs != classes:
        raise DataError(
            f"audit: expected a model with an output for each class. Received: {number_of(outputs, 'output')} for "
            f"{number_of(classes, 'class')}, of task {trained.task.name}, whose answers the attacks do not know."
        )


def _draw(source: Source, splits: Splits, trained: TrainedModel, *, images: int, seed: int) -> _Sample:
    random = np.random.default_rng(seed)
    split, drawn = _draw_rows(source, splits, random, images)
    labels = source.labels[drawn]
    pixels = evaluation_images(source, drawn, transform=trained.preprocess.evaluation_transform)
    targets = np.array([random.choice(np.flatnonzero(labels != label)) for label in labels])
    return _Sample(split, pixels, labels, targets, seed)


def _draw_rows(source: Source, splits: Splits, random: np.random.Generator, most: int) -> tuple[str, np.ndarray]:
    """Returns the name of the split that is measured, and at most `most` of it, int64, each class in proportion."""
    split, rows = splits.to_measure_on()
    shuffled = random.permutation(rows)
    strata = source.labelling.strata(source.labels)
    by_class = shuffled[np.argsort(strata[shuffled], kind="stable")]
    drawn = evaluation_order(source, evenly(by_class, most))
    if len(np.unique(strata[drawn])) < 2:
        raise DataError(
            f"audit: expected {split} {source.noun}s of two classes or more. Received: {len(drawn)} of one. Use more --images."
        )
    return split, drawn


def _teacher(public: PublicTeacher | None, sample: _Sample) -> tuple[_Classifier | None, str]:
    """Returns the teacher as a classifier, or None with the reason."""
    if public is None:
        return None, "No figures of a teacher: the student started from random weights."
    if not public.knows_its_classes:
        name = public.network.teacher.spec.name
        return (
            None,
            f"No figures of the teacher: KERAS_HOME has no weights of {name} with a classifier of 1000 classes.",
        )
    return _Classifier(public.network.model, sample), ""


def _say_how_long(student: _Classifier, sample: _Sample, *, classifiers: int, depths: int) -> None:
    """Announces what will be measured, and its duration estimated from one batch."""
    images, answers = sample.images[:_BATCH], student.clean[:_BATCH]
    seconds = []
    for call in (student.slope, student.slope, lambda images, _: student.answers(images)):
        began = time.perf_counter()
        call(images, answers)
        seconds.append(time.perf_counter() - began)
    tracing, slope, answer = seconds[0] - seconds[1], seconds[1] / len(images), seconds[2] / len(images)
    answers_each = sum(len(corruption.constants) for corruption in CORRUPTIONS) + 2 * len(STRENGTHS)
    each = classifiers * (answers_each * answer + (1 + _PGD_SLOPES) * slope)
    each += depths * _STEPS * _PART_BELOW_AN_EDGE * slope
    minutes = (len(sample.images) * each + (classifiers - 1 + depths) * tracing) / 60
    say(f"{len(sample.images)} {sample.split} images, corrupted and attacked: about {max(1, round(minutes))} min")


def _under_corruptions(student: _Classifier, teacher: _Classifier | None, sample: _Sample) -> Iterator[Condition]:
    for corruption in CORRUPTIONS:
        rows = []
        for severity, constant in enumerate(corruption.constants, start=1):
            images = _corrupted(sample.images, corruption, severity, seed=sample.seed)
            given = student.answers(images)
            rows.append(
                Condition(
                    kind="corruption",
                    name=corruption.name,
                    strength=severity,
                    setting=f"{corruption.quantity} {constant:g}",
                    **_accuracy(given == sample.labels),
                    unchanged=float(np.mean(given == student.clean)),
                    teacher_unchanged=float(np.mean(teacher.answers(images) == teacher.clean)) if teacher else None,
                )
            )
        _say_accuracies(corruption.name, rows)
        yield from rows


def _corrupted(pixels: np.ndarray, corruption: Corruption, severity: int, *, seed: int) -> np.ndarray:
    def changed(index: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        return corrupt(image, corruption, severity, tf.stack([tf.constant(seed, tf.int64), index]))

    images = tf.data.Dataset.from_tensor_slices(pixels).enumerate()
    return np.stack([*in_parallel(images, changed).as_numpy_iterator()])


def _under_attack(
    name: str, answers_by_strength: _Attack, student: _Classifier, teacher: _Classifier | None, sample: _Sample
) -> list[Condition]:
    of_student = answers_by_strength(student, sample)
    unchanged = [float(np.mean(given == student.clean)) for given in of_student]
    of_teacher: list[float | None] = [None] * len(STRENGTHS)
    if teacher:
        of_teacher = [float(np.mean(given == teacher.clean)) for given in answers_by_strength(teacher, sample)]
    rows = [
        Condition(
            kind="attack",
            name=name,
            strength=strength,
            setting=f"{strength:g}/255",
            # An image that was wrong before needs no attack.
            **_accuracy((given == sample.labels) & (student.clean == sample.labels)),
            unchanged=ours,
            teacher_unchanged=theirs,
        )
        for strength, given, ours, theirs in zip(STRENGTHS, of_student, unchanged, of_teacher, strict=True)
    ]
    _say_accuracies(name, rows)
    return rows


def _fgsm_answers(network: _Classifier, sample: _Sample) -> list[np.ndarray]:
    batches = _batches(np.arange(len(sample.images)))
    slopes = np.concatenate([network.slope(sample.images[rows], network.clean[rows])[1] for rows in batches])
    return [network.answers(fgsm(sample.images, slopes, strength=strength)) for strength in STRENGTHS]


def _pgd_answers(network: _Classifier, sample: _Sample) -> list[np.ndarray]:
    given, by_strength = network.clean.copy(), []
    for strength in STRENGTHS:
        # An attacker who may change more may also change less, so an answer that has changed stays changed.
        for rows in _batches(np.flatnonzero(given == network.clean)):
            moved = pgd(
                sample.images[rows],
                network.clean[rows],
                network.slope,
                strength=strength,
                steps=_STEPS,
                seed=sample.seed,
            )
            given[rows] = network.answers(moved)
        by_strength.append(given.copy())
    return by_strength


def _under_mimicry(depth: Depth, student: _Classifier, teacher: _Classifier | None, sample: _Sample) -> Mimicry:
    mimic = Mimic(depth.below)
    images = np.concatenate(
        [
            mimic(sample.images[rows], sample.images[sample.targets[rows]], strength=_MIMICRY_STRENGTH, steps=_STEPS)
            for rows in _batches(np.arange(len(sample.images)))
        ]
    )
    given = student.answers(images)
    taken = float(np.mean(given == sample.labels[sample.targets]))
    say(f"mimicry, matched after {depth.name}: {taken:.2f} of the images are answered as their target's class")
    return Mimicry(
        blocks=depth.blocks,
        depth=depth.name,
        is_cut=depth.is_cut,
        strength=_MIMICRY_STRENGTH,
        taken=taken,
        interval=accuracy_interval(taken, len(given)),
        accuracy=float(np.mean(given == sample.labels)),
        teacher_taken=float(np.mean(teacher.answers(images) == teacher.clean[sample.targets])) if teacher else None,
    )


def _accuracy(right: np.ndarray) -> dict[str, Any]:
    """Returns `accuracy` and `interval` of bool (n,)."""
    accuracy = float(np.mean(right))
    return {"accuracy": accuracy, "interval": accuracy_interval(accuracy, len(right))}


def _batches(rows: np.ndarray) -> Iterator[np.ndarray]:
    return (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))


def _say_accuracies(name: str, rows: Iterable[Condition]) -> None:
    say(f"{name}: accuracy {', '.join(f'{row.accuracy:.2f}' for row in rows)}")
