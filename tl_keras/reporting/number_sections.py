"""Makes the part of a report on numbers: errors, intervals, predictions against what was measured."""

from __future__ import annotations

from typing import Any

from tl_keras.builder import Student
from tl_keras.evaluation.numbers import COVERAGE, promised_by
from tl_keras.reporting.number_figures import errors_by_tenth, predicted_against_measured
from tl_keras.reporting.reported_predictions import ReportedPredictions

_MOST_DRAWN = 6


def numbers_facts(student: Student, answers: ReportedPredictions) -> dict[str, Any]:
    """Returns the measures of each column, with figures of the first six."""
    names, values, predicted = answers.source.class_names, answers.labels, answers.scores
    measures = answers.task.measures(predicted, values, names)
    promised = promised_by(measures)
    drawn = list(enumerate(measures["columns"]))[:_MOST_DRAWN]
    return {
        "measures": measures,
        "noun": answers.source.noun,
        "promised": promised,
        "few": promised < COVERAGE,
        "figures": [
            (
                row["column"],
                predicted_against_measured(
                    values[:, i], predicted[:, i], half_width=row["half_width"], promised=promised, name=row["column"]
                ),
                errors_by_tenth(values[:, i], predicted[:, i], name=row["column"]),
            )
            for i, row in drawn
        ],
    }
