"""Tests of tl_keras.probes.task_probe: features judged by the score of each task."""

import numpy as np
import pytest

from tl_keras.probes.alternatives import Alternative, choose, describe
from tl_keras.probes.probe import Probe
from tl_keras.probes.task_probe import TaskProbe, probe
from tl_keras.tasks.base import task_named

RANDOM = np.random.default_rng(0)
CLASSES = np.arange(240) % 4
SEVERAL = (RANDOM.random((240, 3)) < (0.5, 0.3, 0.15)).astype(np.int64)
SEVERAL[:20, 0] = -1
NUMBERS = RANDOM.normal((5.0, -100.0), (1.0, 30.0), (240, 2))

# Task, labels, and numbers that say what they are.
TASKS = {
    "ordinal": (CLASSES, CLASSES[:, None]),
    "multi_label": (SEVERAL, SEVERAL),
    "regression": (NUMBERS, (NUMBERS - NUMBERS.mean(axis=0)) / NUMBERS.std(axis=0)),
}


@pytest.fixture(scope="module", params=list(TASKS))
def judged(request):
    """The answers on features that tell the labels, nearly, and on noise."""
    labels, told = TASKS[request.param]
    task, random = task_named(request.param).with_labels(labels), np.random.default_rng(1)
    noise = random.normal(size=(240, 16))
    features = [np.concatenate([told * part, noise], axis=1).astype(np.float32) for part in (3.0, 0.0)]
    options = {"classes": 4 if labels.ndim == 1 else labels.shape[1], "groups": np.arange(240), "seed": 0}
    return [probe(task, each, labels, **options) for each in features]


def test_features_that_tell_the_labels_score_higher_and_are_chosen(judged):
    good, noise = judged
    assert noise.score < 0.6 < 0.8 < good.score <= 1
    views = (Alternative("noise", noise), Alternative("good", good))
    assert choose(views).name == "good"
    assert choose(views[::-1]).name == "good"
    assert f"gets, out of fold, a score ({noise.score_name}) of noise {noise.score:.3f} ± " in describe(
        views, views[1], measured="it"
    )


def test_the_error_is_that_of_resamples(judged):
    noise = judged[1]
    random, scores = np.random.default_rng(0), []
    for _ in range(300):
        drawn = random.integers(0, 240, 240)
        scores.append(noise.task.score(noise.logits[drawn], noise.labels[drawn]))
    assert noise.standard_error == pytest.approx(np.std(scores), rel=0.4)
    assert noise.values.mean() == pytest.approx(noise.score)


def test_of_an_accuracy_the_values_are_right_and_wrong():
    logits = np.random.default_rng(0).normal(size=(90, 4)).astype(np.float32)
    labels = np.arange(90) % 4
    plain = Probe(logits, labels)
    by_task = TaskProbe(task_named("single_label"), logits, labels)
    np.testing.assert_allclose(by_task.values, plain.values, atol=1e-9)
    both = by_task.with_more(by_task)
    assert (len(both.labels), both.score) == (180, by_task.score)


@pytest.mark.parametrize("number", [40, 150])
def test_the_error_of_groups_is_that_of_resampled_groups(number):
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(number), random.integers(2, 7, number))
    numbers = random.normal(size=(len(groups), 1))
    logits = (numbers + random.normal(size=(number, 1))[groups]).astype(np.float32)
    task = task_named("regression").with_labels(numbers)
    judged = TaskProbe(task, logits, numbers, groups)
    members, scores = [np.flatnonzero(groups == each) for each in range(number)], []
    for _ in range(300):
        drawn = np.concatenate([members[each] for each in random.integers(0, number, number)])
        scores.append(task.score(logits[drawn], numbers[drawn]))
    assert judged.standard_error == pytest.approx(np.std(scores), rel=0.3)
    assert judged.values.mean() == pytest.approx(judged.score)
    assert judged.standard_error > 1.3 * TaskProbe(task, logits, numbers).standard_error
