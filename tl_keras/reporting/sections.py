"""Makes the parts of a run's report that depend on what was learnt; a task names those that make sense for it.

The facts of a part are what its template, `templates/sections/NAME.html`, reads as `facts`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import tensorflow as tf
from sklearn.metrics import confusion_matrix

from tl_keras.builder import Student
from tl_keras.data.decoding import decode_image
from tl_keras.data.pipeline import evaluation_images
from tl_keras.data.text_lines import text_of
from tl_keras.evaluation.calibration import mean_log_loss, out_of_fold_probabilities, reliability
from tl_keras.evaluation.metrics import classification_metrics, hides_rare_classes
from tl_keras.reporting import figures
from tl_keras.reporting.attention_heat import attention_heat
from tl_keras.reporting.decision_sections import decision_facts
from tl_keras.reporting.grad_cam import ends_in_a_map, grad_cam
from tl_keras.reporting.label_sections import labels_facts
from tl_keras.reporting.number_sections import numbers_facts
from tl_keras.reporting.page import jpeg_uri
from tl_keras.reporting.precision_recall import precision_recall
from tl_keras.reporting.reported_predictions import ReportedPredictions

if TYPE_CHECKING:
    from tl_keras.text.tokenizing import TextPreprocess

__all__ = ["SECTIONS", "ReportedPredictions"]

# Number of predictions shown of each kind, best and worst; each has two pictures of about 5 KiB.
_SHOWN = 8
_SIDE = 144  # of a picture, in pixels

_MOST_CHARACTERS = 300  # of a text that is shown

_MOST_PAIRS = 5  # of classes that are confused, in words

_MOST_IN_TABLE = 15  # classes of a confusion matrix that is a table; a larger one is a picture
_STRONGEST = 0.65  # opacity of its strongest cell; text in the page's colour stays readable on it

# Number of errors shown beside the worst and the best, each with a picture of about 3 KiB; a pair of classes has one at least.
_MOST_ERRORS = 60
_SMALL_SIDE = 112


def _classes(student: Student, answers: ReportedPredictions) -> dict[str, Any]:
    """Returns per-class figures and the classes that are confused most often."""
    names = answers.source.class_names
    matrix = confusion_matrix(answers.labels, answers.decisions, labels=range(len(names)))
    wrong = matrix - np.diag(matrix.diagonal())
    pairs = np.dstack(np.unravel_index(np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS], wrong.shape))[0]
    metrics = classification_metrics(answers.labels, answers.scores, names, answers=answers.decisions)
    drawn = len(names) > _MOST_IN_TABLE
    return {
        "metrics": metrics,
        "unequal": hides_rare_classes(metrics),
        "names": names,
        "confusion": figures.confusion(matrix, names, noun=answers.source.noun) if drawn else None,
        "precision_recall": precision_recall(answers.labels, answers.scores, names),
        "cells": [] if drawn else _cells(matrix, names),
        "errors": _errors(answers),
        "confused": [
            (names[right], names[answer], wrong[right, answer]) for right, answer in pairs if wrong[right, answer]
        ],
    }


def _cells(matrix: np.ndarray, names: Sequence[str]) -> list[list[dict[str, Any]]]:
    """Returns the confusion matrix as rows of cells: count, strength of the colour, and the group of errors behind it."""
    strength = _STRONGEST * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    return [
        [
            {
                "count": int(count),
                "strength": float(strength[right, answer]),
                "link": f"cell-{right}-{answer}" if count and right != answer else "",
                "label": f"{count} labelled {names[right]}, predicted {names[answer]}",
            }
            for answer, count in enumerate(row)
        ]
        for right, row in enumerate(matrix)
    ]


def _errors(answers: ReportedPredictions) -> list[dict[str, Any]]:
    """Returns the wrong answers by label and prediction, the largest groups first and in each the surest first."""
    wrong = np.flatnonzero(answers.decisions != answers.labels)
    sure = answers.scores[wrong, answers.decisions[wrong]]
    groups: dict[tuple[int, int], list[int]] = {}
    for row in wrong[np.argsort(-sure, kind="stable")].tolist():
        groups.setdefault((int(answers.labels[row]), int(answers.decisions[row])), []).append(row)
    names, left = answers.source.class_names, _MOST_ERRORS
    found = []
    for (right, answer), rows in sorted(groups.items(), key=lambda group: -len(group[1])):
        shown = rows[: max(1, min(left, len(rows)))]
        left -= len(shown)
        cases = [_error(answers, row) for row in shown]
        found.append(
            {
                "id": f"cell-{right}-{answer}",
                "right": names[right],
                "answer": names[answer],
                "count": len(rows),
                "cases": cases,
            }
        )
    return found


def _error(answers: ReportedPredictions, row: int) -> dict[str, Any]:
    """Returns a wrong answer as the page shows it."""
    index, contents = int(answers.indices[row]), answers.source.encoded_image(int(answers.indices[row]))
    is_text = answers.source.noun == "text"
    return {
        "id": answers.source.ids[index],
        "score": float(answers.scores[row, answers.decisions[row]]),
        "text": contents.decode("utf-8", "replace")[:_MOST_CHARACTERS] if is_text else "",
        "photo": "" if is_text else jpeg_uri(decode_image(tf.constant(contents)).numpy(), _SMALL_SIDE),
    }


def _calibration(student: Student, answers: ReportedPredictions) -> dict[str, Any]:
    """Returns the calibration before and after the temperature."""
    uncorrected = answers.probabilities(1.0)
    before = reliability(uncorrected, answers.labels)
    # The temperature was fitted to validation images, which are therefore measured with temperatures fitted without them.
    is_test = answers.split == "test"
    scores = answers.scores if is_test else out_of_fold_probabilities(answers.logits, answers.labels)
    after = reliability(scores, answers.labels)
    return {
        "calibration": figures.calibration(before, after),
        "calibration_errors": (before.error, after.error),
        "likelihoods": [mean_log_loss(each, answers.labels) for each in (uncorrected, scores)],
        "temperature": answers.temperature,
    }


def _examples(student: Student, answers: ReportedPredictions) -> dict[str, Any]:
    """Returns the predictions with the lowest and the highest score of the right class, as the network sees them."""
    of_right_class = answers.scores[np.arange(len(answers.labels)), answers.labels]
    order = np.argsort(of_right_class, kind="stable")
    worst, best = order[:_SHOWN], order[_SHOWN:][::-1][:_SHOWN]
    rows = np.sort(np.concatenate([worst, best]))
    if answers.source.noun == "text":
        words = _words(student, answers, rows)
        shown = {row: {**_example(answers, row), "words": words[row]} for row in rows.tolist()}
        return {"worst": [shown[row] for row in worst.tolist()], "best": [shown[row] for row in best.tolist()]}
    images = evaluation_images(answers.source, answers.indices[rows], transform=student.preprocess.evaluation_transform)
    overlays = _overlays(student, images, lambda logits: answers.task.evidence(logits, answers.decisions[rows]))
    shown = {
        row: _example(answers, row, image=image, overlay=overlay)
        for row, image, overlay in zip(rows.tolist(), images, overlays, strict=True)
    }
    return {
        "worst": [shown[row] for row in worst.tolist()],
        "best": [shown[row] for row in best.tolist()],
        "of_a_map": ends_in_a_map(student.model),
    }


def _words(student: Student, answers: ReportedPredictions, rows: np.ndarray) -> dict[int, list[tuple[str, float]]]:
    """Returns the pieces of some texts with their support for the answer, by row."""
    from tl_keras.reporting.word_support import support_of_words

    texts = [text_of(answers.source, index) for index in answers.indices[rows].tolist()]
    found = support_of_words(
        student.model,
        cast("TextPreprocess", student.preprocess),
        [text[:_MOST_CHARACTERS] for text in texts],
        lambda logits: answers.task.evidence(logits, answers.decisions[rows]),
    )
    cut = [[("…", 0.0)] if len(text) > _MOST_CHARACTERS else [] for text in texts]
    return {row: pieces + end for row, pieces, end in zip(rows.tolist(), found, cut, strict=True)}


def _overlays(student: Student, images: np.ndarray, evidence: Callable[[Any], Any]) -> list[np.ndarray | None]:
    """Returns each image, bright where it supports the answer; None if the network's last map has a single place, or no map."""
    heat_of = grad_cam if ends_in_a_map(student.model) else attention_heat
    heat = heat_of(student.model, images, evidence)
    if heat[0].size == 1:
        return [None] * len(images)
    enlarged = tf.image.resize(heat[..., None], images.shape[1:3], method="bicubic").numpy().clip(0, 1)
    return [figures.overlay(image, places[..., 0]) for image, places in zip(images, enlarged, strict=True)]


def _example(
    answers: ReportedPredictions, row: int, *, image: np.ndarray | None = None, overlay: np.ndarray | None = None
) -> dict[str, Any]:
    """Returns an example as the page shows it: an image as a picture, a text in words."""
    index = int(answers.indices[row])
    text = text_of(answers.source, index) if image is None else ""
    answer = int(answers.decisions[row])
    return {
        "id": answers.source.ids[index],
        "text": text[:_MOST_CHARACTERS] + ("…" if len(text) > _MOST_CHARACTERS else ""),
        "label": answers.source.class_names[answers.labels[row]],
        "answer": answers.source.class_names[answer],
        "score": float(answers.scores[row, answer]),
        "photo": None if image is None else jpeg_uri(image, _SIDE),
        "overlay": None if overlay is None else jpeg_uri(overlay, _SIDE),
    }


def _grades(student: Student, answers: ReportedPredictions) -> dict[str, Any]:
    """Returns the errors in grades, and how many answers are right or off by how many grades, in words."""
    measures = answers.task.measures(answers.scores, answers.labels, answers.source.class_names)
    counts = [
        f"{count:,} {'is' if count == 1 else 'are'} {f'off by {grades}' if grades else 'right'}"
        for grades, count in enumerate(measures["off_by"])
        if count
    ]
    return {"measures": measures, "counts": counts, "noun": answers.source.noun}


# Facts of each part by its name, for the template `run.html`.
SECTIONS: dict[str, Callable[[Student, ReportedPredictions], dict[str, Any]]] = {
    "decision": decision_facts,
    "classes": _classes,
    "calibration": _calibration,
    "examples": _examples,
    "grades": _grades,
    "labels": labels_facts,
    "numbers": numbers_facts,
}
