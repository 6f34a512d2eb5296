"""Tests of tl_keras.tasks.epoch_metrics: the mean average precision of an epoch."""

import numpy as np
import pytest

from tl_keras.evaluation.average_precision import mean_average_precision
from tl_keras.tasks.epoch_metrics import MeanAveragePrecision

RANDOM = np.random.default_rng(1)
TARGETS = (RANDOM.random((200, 3)) < (0.5, 0.2, 0.05)).astype(np.float32)
LOGITS = RANDOM.normal(3 * TARGETS - 3, 2).astype(np.float32)


def test_batch_by_batch_it_is_that_of_all_images():
    metric = MeanAveragePrecision(3)
    for start in range(0, 200, 32):
        metric.update_state(TARGETS[start : start + 32], LOGITS[start : start + 32])
    exact = mean_average_precision(TARGETS.astype(np.int64), LOGITS)
    assert float(metric.result()) == pytest.approx(exact, abs=0.01)
    metric.reset_state()
    assert float(metric.result()) == 0


def test_a_label_that_every_image_has_does_not_count():
    targets = np.concatenate([TARGETS, np.ones((200, 1), np.float32)], axis=1)
    metric = MeanAveragePrecision(4)
    metric.update_state(targets, np.c_[LOGITS, LOGITS[:, 0]])
    assert float(metric.result()) == pytest.approx(mean_average_precision(TARGETS.astype(np.int64), LOGITS), abs=0.01)


def test_unknown_labels_and_images_without_weight_count_for_nothing():
    targets, weights = TARGETS.copy(), np.ones(200, np.float32)
    targets[:50, 0], weights[150:] = np.nan, 0
    metric = MeanAveragePrecision(3)
    metric.update_state(targets, LOGITS, weights)
    known = np.where(np.isnan(targets), -1, targets).astype(np.int64)[:150]
    assert float(metric.result()) == pytest.approx(mean_average_precision(known, LOGITS[:150]), abs=0.01)
