"""Tests of tl_keras.probes.probe: what out-of-fold answers say, and how sure that is."""

import numpy as np

from tl_keras.probes.probe import Probe, error_of_mean
from tl_keras.probes.transferability import linear_probe


def test_the_standard_error_is_never_zero():
    assert Probe(np.eye(2), np.array([0, 1])).standard_error > 0.1


def test_the_standard_error_of_groups_is_that_of_other_groups():
    said, accuracies, groups = [], [], np.repeat(np.arange(24), 10)
    for draw in range(30):
        random, labels = np.random.default_rng(draw), groups % 2
        of_group = random.normal(size=(24, 4)) + (np.arange(24) % 2)[:, None]
        features = (of_group[groups] + 0.2 * random.normal(size=(240, 4))).astype(np.float32)
        probe = linear_probe(features, labels, classes=2, groups=groups, seed=0)
        said.append(probe.standard_error)
        accuracies.append(probe.accuracy)
    assert 0.7 < np.mean(said) / np.std(accuracies) < 1.4  # of independent images it is a third of that


def test_where_every_answer_is_right_a_group_counts_as_one_image():
    right, groups = np.eye(2)[np.arange(40) % 2], np.arange(40) // 4
    alone, of_groups = (Probe(right, np.arange(40) % 2, groups=each) for each in (None, groups))
    np.testing.assert_allclose(of_groups.standard_error, 2 * alone.standard_error)


def test_images_that_are_alone_have_the_usual_error_and_one_group_tells_nothing():
    values = np.random.default_rng(0).normal(size=50)
    np.testing.assert_allclose(error_of_mean(values, np.arange(50)), values.std(ddof=1) / np.sqrt(50))
    np.testing.assert_allclose(
        error_of_mean(np.repeat(values, 3), np.arange(150) // 3), values.std(ddof=1) / np.sqrt(50)
    )
    assert error_of_mean(values, np.zeros(50, int)) == np.inf
