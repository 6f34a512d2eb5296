"""Makes the part of a report on several labels per image: each label, which are mixed up, which come together."""

from __future__ import annotations

from typing import Any

import numpy as np

from tl_keras.builder import Student
from tl_keras.reporting import figures
from tl_keras.reporting.reported_predictions import ReportedPredictions

_MOST_PAIRS = 8


def labels_facts(student: Student, answers: ReportedPredictions) -> dict[str, Any]:
    """Returns the measures of each label, labels that are taken for others, and labels that come together."""
    names, has, found = answers.source.class_names, answers.labels == 1, answers.decisions
    measures = answers.task.measures(answers.scores, answers.labels, names)
    measured = [row for row in measures["labels"] if row["average_precision"] is not None]
    lacked = answers.labels == 0
    mixed = (has & ~found).astype(np.int64).T @ (lacked & found)
    together = has.astype(np.int64).T @ has
    return {
        "measures": measures,
        "noun": answers.source.noun,
        "precisions": figures.scores(
            [row["label"] for row in measured],
            [row["average_precision"] for row in measured],
            [row["interval"] for row in measured],
            name="average precision",
        )
        if measured
        else None,
        "mixed": _most(mixed, names),
        "together": _most(np.triu(together, 1), names),
    }


def _most(counts: np.ndarray, names: tuple[str, ...]) -> list[tuple[str, str, int]]:
    """Returns the pairs of names with the largest counts."""
    pairs = np.dstack(np.unravel_index(np.argsort(-counts, axis=None, kind="stable")[:_MOST_PAIRS], counts.shape))[0]
    return [(names[one], names[other], int(counts[one, other])) for one, other in pairs if counts[one, other]]
