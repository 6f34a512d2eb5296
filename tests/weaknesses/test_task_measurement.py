"""Tests of tl_keras.weaknesses.task_measurement: runs of other tasks under corruptions and attack, by their own score."""

import keras
import numpy as np
import pytest

from tl_keras.tasks.base import task_named
from tl_keras.weaknesses.task_measurement import audit_task

RANDOM = np.random.default_rng(0)
# Images of one grey, from which a linear network reads the labels.
GREY = np.linspace(20, 230, 48)
IMAGES = (GREY[:, None, None, None] + RANDOM.normal(0, 3, (48, 6, 6, 3))).astype(np.float32)
LABELS = {
    "multi_label": np.stack([GREY > 90, GREY < 160], axis=1).astype(np.int64),
    "ordinal": np.digitize(GREY, [80, 150]),
    "regression": GREY[:, None] * 10,
}
WEIGHTS = {
    "multi_label": ([0.2, -0.2], [-18.0, 32.0]),
    "ordinal": ([0.2, 0.2], [-16.0, -30.0]),
    "regression": ([1 / GREY.std()], [-GREY.mean() / GREY.std()]),
}


@pytest.mark.parametrize("name", list(LABELS))
def test_scores_fall_with_the_strength(name):
    kernel, bias = (np.float32(values) for values in WEIGHTS[name])
    dense = keras.layers.Dense(len(bias))
    model = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.GlobalAveragePooling2D(), dense])
    dense.set_weights([np.stack([kernel] * 3) / 3, bias])
    task = task_named(name).with_labels(LABELS[name])
    task = task.with_predictions(model(IMAGES).numpy(), LABELS[name])

    def corrupted(corruption, severity):
        return IMAGES + 20 * severity if corruption.name == "brightness" else IMAGES

    audit = audit_task(
        model, task, IMAGES, LABELS[name], corrupted=corrupted, strengths=(1.0, 60.0), split="test", seed=0
    )
    assert audit.score_name == task.score_name
    assert audit.accuracy == task.score(model(IMAGES).numpy(), LABELS[name]) > 0.95
    brighter = [row for row in audit.conditions if row.name == "brightness"]
    mild, strong = (row for row in audit.conditions if row.kind == "attack")
    assert [row.unchanged for row in brighter] == sorted((row.unchanged for row in brighter), reverse=True)
    assert strong.accuracy < mild.accuracy <= audit.accuracy
    assert strong.interval[0] <= strong.accuracy <= strong.interval[1]
    assert task.score_name.replace("_", " ") in audit.advice or "accuracy" not in audit.advice
