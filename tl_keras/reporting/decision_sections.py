"""Makes the part of a report on the decision between classes: precision and recall, costs, refused images."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix

from tl_keras.builder import Student
from tl_keras.reporting.figures import BLUE, GREY, Picture, drawing_of
from tl_keras.reporting.reported_predictions import ReportedPredictions
from tl_keras.tasks.decision import decision_lines
from tl_keras.tasks.single_label import REFUSED

_MOST_CLASSES = 15  # of a table


def decision_facts(student: Student, answers: ReportedPredictions) -> dict[str, Any]:
    """Returns what the decision makes of the images, with its curves; nothing where the most probable class is the answer."""
    decision, names = getattr(answers.task, "decision", None), answers.source.class_names
    if decision is None:
        return {}
    measures = decision.measures(answers.scores, answers.labels, names)
    decided, refused = decision.decide(answers.scores)
    shown = (*names, REFUSED) if refused.any() else names
    matrix = confusion_matrix(answers.labels, np.where(refused, len(names), decided), labels=range(len(shown)))
    return {
        "lines": decision_lines(measures),
        "noun": answers.source.noun,
        "confusion": _table(matrix[: len(names)], names, shown),
        "curves": _curves(measures, noun=answers.source.noun),
    }


def _table(matrix: np.ndarray, rights: tuple[str, ...], answers: tuple[str, ...]) -> dict[str, Any] | None:
    """Returns how often each class is answered with each, as a table; None for too many classes to read."""
    if len(rights) > _MOST_CLASSES:
        return None
    return {"answers": answers, "rows": list(zip(rights, matrix.tolist(), strict=True))}


def _curves(measures: dict[str, Any], *, noun: str) -> list[Picture]:
    """Returns the curve of precision by recall, and of accuracy by coverage, where they are about what was asked for."""
    pictures = []
    if positive := measures.get("positive"):
        point = (positive["recall"], positive["precision"])
        name = positive["class"]
        pictures.append(
            _curve(positive["curve"], point, x=f"recall of {name}", y="precision", what="Precision by recall")
        )
    if measures["refusal"]["below"]:
        refusal = measures["refusal"]
        point = (refusal["coverage"], refusal["accuracy"])
        pictures.append(
            _curve(
                refusal["curve"], point, x=f"{noun}s answered", y="accuracy", what=f"Accuracy by the {noun}s answered"
            )
        )
    return pictures


def _curve(curve: list[list[float]], point: tuple[Any, Any], *, x: str, y: str, what: str) -> Picture:
    """Draws a curve, and the point on it that was chosen; none where there is nothing to count."""
    drawn = None not in point
    places, heights = np.array(curve).T
    with drawing_of("curve", 3.2) as drawing:
        axes = drawing.figure.subplots()
        axes.plot(places, heights, color=BLUE)
        if drawn:
            axes.plot(*point, "o", color=GREY)
        axes.set(xlabel=x, ylabel=y, xlim=(0, 1.02), ylim=(0, 1.02))
    said = (
        "the point is what was chosen on validation"
        if drawn
        else "what was chosen on validation has no point, since there is nothing to count"
    )
    return Picture(drawing.svg, f"{what}; {said}.")
