"""Checks whether incoming images are still like those that a model was trained on.

Rabanser et al. 2019, Failing Loudly, found that univariate Kolmogorov-Smirnov tests on a reduced representation, with
Bonferroni's correction, and a test of the predicted labels find most shifts. With enough images every difference is
significant; a check therefore also asks for a difference that is large.
"""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.stats import binomtest, chi2_contingency, ks_2samp

from tl_keras.config import DEFAULT_MAX_PIXELS, from_json
from tl_keras.console import number_of
from tl_keras.data.base import in_parallel
from tl_keras.data.inspection import sentences_of_left_out
from tl_keras.data.text_lines import read_texts
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.errors import DataError
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.image_inputs import encoded_images, image_inputs
from tl_keras.serving.model_file import TrainedModel, load_model
from tl_keras.serving.refusals import refusals
from tl_keras.serving.student_statistics import StudentStatistics, with_features
from tl_keras.user_folders import expanded

_SIGNIFICANCE = 0.01
_EXPECTED_OUTLIERS = 0.05  # the threshold keeps 95% of the images that it was fitted to
_LARGE_OUTLIER_RATE = 0.10
# Largest distance between two distribution functions, and total variation between two label shares: 0 to 1.
_LARGE_DRIFT = 0.2
_LARGE_LABEL_CHANGE = 0.15
_WATCHED_ANSWERS = 1000


@dataclasses.dataclass(frozen=True)
class Check:
    """The result of one comparison.

    Attributes:
      name: `outlier_rate`, `feature_drift` or `label_change`.
      value: Measured value, 0 to 1.
      limit: Largest value that counts as no change.
      p_value: Probability of a value at least this large if nothing has changed, 0 to 1.
    """

    name: str
    value: float
    limit: float
    p_value: float

    @property
    def state(self) -> str:
        """Returns `same` within the limit; beyond it, `changed` if chance is excluded, else `undecided`."""
        if self.value <= self.limit:
            return "same"
        return "changed" if self.p_value < _SIGNIFICANCE else "undecided"

    @property
    def changed(self) -> bool:
        """Returns whether the change is large and not due to chance."""
        return self.state == "changed"

    def describe(self, noun: str = "image") -> str:
        """Returns value, limit and state, with the deciding rule, in one line; `noun` is the word for what was compared."""
        rule = {
            "same": "within the limit",
            "changed": f"beyond the limit, and no chance: p is below {_SIGNIFICANCE}",
            "undecided": f"beyond the limit, but chance does as much with so few {noun}s, new or known: "
            f"p is not below {_SIGNIFICANCE}",
        }[self.state]
        return f"{self.name} {self.value:.3f} (limit {self.limit:.2f}, p {self.p_value:.2g}) {self.state}: {rule}"


def check_outliers(scores: np.ndarray) -> Check:
    """Compares the part of outliers with the 5% of the images that the threshold was fitted to.

    Args:
      scores: float32 (n,), from `OutlierModel.score`, n at least 1.
    """
    count = int(np.sum(scores > 1))
    p_value = binomtest(count, len(scores), _EXPECTED_OUTLIERS, alternative="greater").pvalue
    return Check("outlier_rate", count / len(scores), _LARGE_OUTLIER_RATE, float(p_value))


def check_features(statistics: StudentStatistics, projected: np.ndarray) -> Check:
    """Compares features with those of validation, one component at a time; the one with the largest difference decides.

    Args:
      statistics: Statistics of the model.
      projected: float32 (n, r), from `OutlierModel.project`, n at least 1.
    """
    tests = [ks_2samp(column, known) for column, known in zip(projected.T, statistics.reference.T, strict=True)]
    worst = min(tests, key=lambda test: test.pvalue)
    return Check("feature_drift", float(worst.statistic), _LARGE_DRIFT, min(1.0, float(worst.pvalue) * len(tests)))


def check_labels(known: np.ndarray, counts: np.ndarray) -> Check:
    """Compares the frequency of each predicted class with that on the validation images.

    Args:
      known: int64 (answers,), `StudentStatistics.predicted_counts`.
      counts: int64 (answers,), number of predictions of each answer.
    """
    change = 0.5 * float(np.abs(_shares(counts) - _shares(known)).sum())
    answered = (counts + known) > 0
    table = np.stack([counts, known])[:, answered]
    counted = answered.sum() > 1 and table.sum(axis=1).all()
    p_value = float(chi2_contingency(table).pvalue) if counted else 1.0
    return Check("label_change", change, _LARGE_LABEL_CHANGE, p_value)


def _shares(counts: np.ndarray) -> np.ndarray:
    """Returns the share of each answer, 0 where nothing was counted."""
    return counts / max(int(counts.sum()), 1)


def verdict(checks: list[Check], noun: str = "image") -> str:
    """Returns what to do, in one sentence; it is `keep` only if every value is within its limit.

    Args:
      checks: Results of the comparisons.
      noun: Word for what was compared, `image` or `text`.
    """
    changed = {check.name for check in checks if check.changed}
    if changed & {"outlier_rate", "feature_drift"}:
        return f"retrain: label some of these {noun}s, those with the largest outlier scores first, and train with them"
    if changed:
        return f"look: the {noun}s resemble the training {noun}s, but the classes come in other shares"
    if undecided := [check.name for check in checks if check.state == "undecided"]:
        return (
            f"undecided: {' and '.join(undecided)} beyond the limit, but these or the known {noun}s are too few to rule out "
            "chance"
        )
    return f"keep: these {noun}s are like those that the model was trained on"


class Watch:
    """Follows the answers of a server, a thousand at a time.

    Args:
      class_names: Names of the answers, in the order of `known`.
      known: int64 (classes,), `StudentStatistics.predicted_counts`.
      noun: Word for what is answered, `image` or `text`.
    """

    def __init__(self, class_names: Sequence[str], known: np.ndarray, noun: str = "image"):
        self._class_names, self._known, self._noun = tuple(class_names), known, noun
        self._labels: list[str] = []
        self._outliers: list[float] = []

    def add(self, names: Sequence[str], outlier: float) -> str | None:
        """Adds the names in an answer, and after every thousandth returns a line on the last thousand."""
        self._labels.extend(names)
        self._outliers.append(outlier)
        if len(self._outliers) < _WATCHED_ANSWERS:
            return None
        counted = Counter(self._labels)
        counts = np.array([counted[name] for name in self._class_names], np.int64)
        checks = [check_outliers(np.array(self._outliers)), check_labels(self._known, counts)]
        self._labels, self._outliers = [], []
        figures = ", ".join(
            f"{check.name} {check.value:.3f} (limit {check.limit:.2f}) {check.state}" for check in checks
        )
        return f"the last {_WATCHED_ANSWERS} {self._noun}s: {figures}; {verdict(checks, self._noun)}"


@with_own_keras_settings
def compare_images(
    workdir: str | os.PathLike[str], folder: str | os.PathLike[str], *, batch_size: int = 32
) -> dict[str, Any]:
    """Compares new images, or for a model of texts new texts, with those that a run was trained on.

    Args:
      workdir: Directory of the run.
      folder: Directory with images, at any depth, without labels; for texts, a file that `read_texts` reads.
      batch_size: Number of images at a time.

    Returns:
      `images` and `undecodable`, counts; `left_out`, a sentence for each reason why images are not decoded; `checks`, each with the
      fields of `Check`, `state`, `changed` and a `line` for people; `labels`, for each class its `label`, its `share` of the
      answers and its `share_in_validation`; `changed` and `verdict`.

    Raises:
      BackboneError: The run directory has no model.
      DataError: No image can be decoded, or no text be read.
    """
    run = RunDirectory(workdir)
    trained = load_model(run.model)
    noun = "image" if trained.preprocess.image_size else "text"
    inputs, number, left_out = _images(folder, trained, run) if noun == "image" else _texts(folder, trained)
    statistics = trained.statistics
    batches = inputs.batch(batch_size).map(trained.preprocess.without_padding)
    features, logits = with_features(trained.model).predict(batches, verbose=0)
    counts = trained.task.count_answers(logits, len(trained.class_names))
    checks = [
        check_outliers(statistics.outliers.score(features).numpy()),
        check_features(statistics, statistics.outliers.project(features).numpy()),
        check_labels(statistics.predicted_counts, counts),
    ]
    known = _shares(statistics.predicted_counts)
    names = trained.task.answer_names(trained.class_names)
    shares = zip(names, _shares(counts).tolist(), known.tolist(), strict=True)
    return {
        "noun": noun,
        "images": number,
        "undecodable": len(left_out),
        "left_out": list(sentences_of_left_out(*zip(*left_out, strict=True), noun=noun)) if left_out else [],
        "checks": [
            {**dataclasses.asdict(check), "state": check.state, "changed": check.changed, "line": check.describe(noun)}
            for check in checks
        ],
        "labels": [{"label": name, "share": share, "share_in_validation": before} for name, share, before in shares],
        "changed": any(check.changed for check in checks),
        "verdict": verdict(checks, noun),
    }


def _images(
    folder: str | os.PathLike[str], trained: TrainedModel, run: RunDirectory
) -> tuple[tf.data.Dataset, int, list[tuple[str, str]]]:
    """Returns the network's inputs, their number, and the images that are left out, with reasons; of training's sizes."""
    files = image_inputs(expanded(folder))
    begun = run.read_config()
    max_pixels = from_json(begun["config"]).data.max_pixels if begun else DEFAULT_MAX_PIXELS
    refused = refusals(files, max_pixels=max_pixels)
    readable = [file for file, refusal in zip(files, refused, strict=True) if not refusal]
    left_out = [(file.name, refusal.reason) for file, refusal in zip(files, refused, strict=True) if refusal]
    if not readable:
        sentences = sentences_of_left_out(*zip(*left_out, strict=True)) if left_out else []
        raise DataError(f"data: expected images that can be decoded in {folder}. Received: {'; '.join(sentences)}.")
    return in_parallel(encoded_images(readable), trained.preprocess.evaluation_transform), len(readable), left_out


def _texts(file: str | os.PathLike[str], trained: TrainedModel) -> tuple[tf.data.Dataset, int, list[tuple[str, str]]]:
    """Returns the same of the texts of a file."""
    texts = read_texts(file)
    left_out = [(f"text {number}", "empty") for number, text in enumerate(texts, start=1) if not text.strip()]
    kept = [text.encode("utf-8", "replace") for text in texts if text.strip()]
    if not kept:
        raise DataError(f"data: expected texts in {file}. Received: {number_of(len(texts), 'text')} without a letter.")
    dataset = tf.data.Dataset.from_tensor_slices(kept)
    return in_parallel(dataset, trained.preprocess.evaluation_transform), len(kept), left_out
