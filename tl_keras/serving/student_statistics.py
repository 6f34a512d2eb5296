"""Measures what a finished student records of itself: its calibration, and its features of the training images."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.builder import Student
from tl_keras.data.base import Source
from tl_keras.data.pipeline import evaluation_batches, evaluation_order, labels_of
from tl_keras.data.splits import Splits
from tl_keras.evaluation.calibration import Calibration
from tl_keras.serving.outlier import OutlierModel, fit_outlier_model
from tl_keras.tasks.base import Task

FEATURES_LAYER = "features"
# More images change neither the Gaussian nor the comparison of later images; a pass over all of ImageNet takes hours.
_MAX_TRAIN_IMAGES = _MAX_VALIDATION_IMAGES = 2000
_MAX_REFERENCE_IMAGES = 1000
# Number of images whose features are in memory at a time; a multiple of the usual batch sizes.
_IMAGES_AT_ONCE = 512

# Function from indices of images, int64 (k,), to pooled features, float32 (k, d), and logits, float32 (k, classes), in the
# order of `evaluation_order`.
PredictFn = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class StudentStatistics:
    """Statistics of a student, fitted once at the end of training and stored in `model.keras`.

    Attributes:
      calibration: Temperature, by which logits are divided before the softmax, with its effect.
      outliers: Model of the distance between an image and the training images.
      reference: float32 (m, r), at most 1,000 images that training has not seen, validation's as a rule, along the components of
        `outliers`.
      predicted_counts: int64 (answers,), number of validation images for each of `Task.answer_names`.
      threshold_of: Images that the threshold of `outliers` and `reference` are of: `validation`; `test`, where the student has
        trained on the validation images; `training`, without test images: one half, with `outliers` fitted to the other; or
        `unknown`, in files of earlier versions.
    """

    calibration: Calibration
    outliers: OutlierModel
    reference: np.ndarray
    predicted_counts: np.ndarray
    threshold_of: str = "validation"

    @property
    def temperature(self) -> float:
        """Returns the divisor of the logits."""
        return self.calibration.temperature

    def to_json(self) -> dict[str, Any]:
        """Returns the figures for people, for `result.json`."""
        return self.calibration.to_json()

    def to_bytes(self) -> bytes:
        """Returns the statistics as an .npz file."""
        file = io.BytesIO()
        parts = {
            f"{part}.{name}": value
            for part in ("calibration", "outliers")
            for name, value in vars(getattr(self, part)).items()
            if value is not None
        }
        own = {name: getattr(self, name) for name in ("reference", "predicted_counts", "threshold_of")}
        np.savez(file, **own, **parts)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> StudentStatistics:
        """Returns statistics that `to_bytes` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        outliers = {name: arrays[f"outliers.{name}"] for name in OutlierModel.__dataclass_fields__}
        for name in ("residual_variance", "threshold"):
            outliers[name] = float(outliers[name])
        return cls(
            calibration=_calibration_from(arrays),
            outliers=OutlierModel(**outliers),
            reference=arrays["reference"],
            predicted_counts=arrays["predicted_counts"],
            threshold_of=str(arrays.get("threshold_of", "unknown")),
        )


def _calibration_from(arrays: dict[str, np.ndarray]) -> Calibration:
    """Returns the calibration stored in the statistics."""
    if "calibration_error" in arrays:  # written by an older version, which measured no likelihood
        before, after = arrays["calibration_error"].tolist()
        return Calibration(float(arrays["temperature"]), (before, after), None, int(arrays["predicted_counts"].sum()))
    error, likelihood = (
        tuple(arrays[f"calibration.{name}"].tolist()) if f"calibration.{name}" in arrays else None
        for name in ("error", "negative_log_likelihood")
    )
    return Calibration(float(arrays["calibration.temperature"]), error, likelihood, int(arrays["calibration.images"]))


def fit_student_statistics(
    *,
    train_features: np.ndarray,
    validation_features: np.ndarray,
    validation_logits: np.ndarray,
    validation_labels: np.ndarray,
    classes: int,
    task: Task,
    threshold_of: str = "validation",
) -> StudentStatistics:
    """Fits the statistics to a student's features and logits.

    Args:
      train_features: float32 (n, d), pooled features of training images, n at least 2.
      validation_features: float32 (m, d), m at least 1, of validation images or of others that training has not seen.
      validation_logits: float32 (m, outputs).
      validation_labels: Labels of the validation images, as the source has them.
      classes: Number of classes.
      task: Task of the student, with what it decides by these predictions.
      threshold_of: Images whose features are `validation_features`, as in `StudentStatistics`.
    """
    outliers = fit_outlier_model(train_features, validation_features)
    return StudentStatistics(
        calibration=task.calibrate(validation_logits, validation_labels),
        outliers=outliers,
        reference=outliers.project(evenly(validation_features, _MAX_REFERENCE_IMAGES)).numpy(),
        predicted_counts=task.count_answers(validation_logits, classes),
        threshold_of=threshold_of,
    )


def measure_student(
    predict: PredictFn,
    source: Source,
    splits: Splits,
    *,
    task: Task,
    unseen_logits: Callable[[np.ndarray], np.ndarray] | None = None,
    unseen_images: np.ndarray | None = None,
) -> tuple[StudentStatistics, Task, np.ndarray, np.ndarray]:
    """Measures a trained student on at most 2,000 each of its validation and training images.

    Args:
      predict: Function that returns the student's features and logits.
      source: Images that it was trained on.
      splits: Splits of the source.
      task: Task of the student.
      unseen_logits: Function from validation images to the logits that calibrate, by models that have not seen the images, where
        the student has; None for the student's own.
      unseen_images: Test images, whose features stand for those of new ones, where the student has seen the validation images;
        None for these.

    Returns:
      The statistics; the task with what it decides by the validation images; the validation images that were used, int64 (m,),
      in the order of `evaluation_order`; and their logits, float32 (m, outputs).
    """
    few = np.random.default_rng(splits.seed).permutation(splits.train)[:_MAX_TRAIN_IMAGES]
    train_features, _ = predict(few)
    validation = evenly(evaluation_order(source, splits.validation), _MAX_VALIDATION_IMAGES)
    validation_features, validation_logits = predict(validation)
    unseen = unseen_logits(validation) if unseen_logits else validation_logits
    threshold_of = "training" if unseen_logits else "validation"
    if unseen_images is not None:
        threshold_of = "test"
        validation_features, _ = predict(evenly(evaluation_order(source, unseen_images), _MAX_VALIDATION_IMAGES))
    task = task.with_predictions(unseen, source.labels[validation])
    statistics = fit_student_statistics(
        train_features=train_features,
        validation_features=validation_features,
        validation_logits=unseen,
        validation_labels=source.labels[validation],
        classes=len(source.class_names),
        task=task,
        threshold_of=threshold_of,
    )
    return statistics, task, validation, validation_logits


def count_measured_images(splits: Splits) -> int:
    """Returns the number of images that `measure_student` uses."""
    return min(len(splits.train), _MAX_TRAIN_IMAGES) + min(len(splits.validation), _MAX_VALIDATION_IMAGES)


def predict_logits(predict: PredictFn, source: Source, indices: np.ndarray) -> np.ndarray:
    """Returns the logits, float32 (k, classes), for any number of images, in the order of `evaluation_order`."""
    ordered = evaluation_order(source, indices)
    parts = np.split(ordered, range(_IMAGES_AT_ONCE, len(ordered), _IMAGES_AT_ONCE))
    return np.concatenate([predict(part)[1] for part in parts])


def make_predict_fn(
    student: Student, source: Source, *, global_batch_size: int, model: keras.Model | None = None
) -> PredictFn:
    """Returns a function that computes the student's features and logits of a source's images in batches.

    Args:
      student: The student.
      source: The images.
      global_batch_size: Number of images in a batch.
      model: Model that `with_features` returned for the student, which may have been traced; None for a new one.
    """
    model = model or with_features(student.model)
    # JAX compiles for each length.
    unpadded = student.preprocess.without_padding if keras.backend.backend() == "tensorflow" else tf.identity

    def predict(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        batches = evaluation_batches(
            source,
            indices,
            transform=student.preprocess.evaluation_transform,
            targets=labels_of(source),
            global_batch_size=global_batch_size,
        )
        return model.predict(batches.map(lambda images, labels: unpadded(images)), verbose=0)

    return predict


def with_features(model: keras.Model) -> keras.Model:
    """Returns the student with two outputs: pooled features, float32 (n, d), and logits, float32 (n, classes)."""
    return keras.Model(model.input, [model.get_layer(FEATURES_LAYER).output, model.output])


def evenly(rows: np.ndarray, limit: int) -> np.ndarray:
    """Returns at most `limit` of the rows, spread over all, because storage order is often the order of the classes."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), limit)).round().astype(np.int64)]
