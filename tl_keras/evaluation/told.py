"""Says which scores cannot be told: those that compare images with each other, where there is one, or all are alike."""

from __future__ import annotations

from tl_keras.runs.records import RunResult

# Scores that are no mean over images.
_COMPARE_IMAGES = ("r2", "quadratic_weighted_kappa", "mean_average_precision")


def is_told(result: RunResult, split: str) -> bool:
    """Returns whether the images of a split tell the score of a run; where not, the result has a number that says nothing.

    Args:
      result: Result of the run.
      split: Name of the split, `validation` or `test`.
    """
    if result.score_name in _COMPARE_IMAGES and result.images[split] == 1:
        return False
    measures = result.measures or {}
    told = [
        row[key]
        for rows, key in (("columns", "r2"), ("labels", "average_precision"))
        for row in measures.get(rows, [])
        if key in row
    ]
    return split != result.split or not told or any(each is not None for each in told)
