"""Tests of tl_keras.probes.transferability: the published definitions, computed the long way on small cases."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from tl_keras.probes.transferability import (
    fold_of_each,
    h_score,
    leep,
    linear_probe,
    log_me,
    nce,
    nearest_neighbour_accuracy,
    repeats_for,
    ridge_probe,
)


def clouds(*, distance, n=60, d=8, seed=0):
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    centres = distance * np.eye(3, d)
    return (centres[labels] + random.normal(size=(n, d))).astype(np.float32), labels


def test_leep_is_the_sum_of_its_definition():
    theta = np.array([[0.7, 0.3], [0.6, 0.4], [0.1, 0.9]])
    labels = np.array([0, 0, 1])
    joint = np.array([[1.3, 0.7], [0.1, 0.9]]) / 3
    conditional = joint / joint.sum(axis=0)
    expected = np.mean([np.log(sum(conditional[y, z] * theta[i, z] for z in range(2))) for i, y in enumerate(labels)])
    assert leep(theta, labels) == pytest.approx(expected)


def test_leep_of_certain_answers_is_nce():
    answers, labels = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 0])
    assert leep(np.eye(3)[answers], labels) == pytest.approx(nce(answers, labels))


def test_nce_is_minus_the_conditional_entropy():
    assert nce(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])) == pytest.approx(-0.5 * np.log(2))
    assert nce(np.array([4, 4, 7]), np.array([1, 1, 0])) == 0


def test_the_h_score_is_the_trace_of_its_definition():
    features, labels = clouds(distance=2, n=3000, d=4)
    covariance = np.cov(features.T, bias=True)
    means = np.stack([features[labels == label].mean(axis=0) for label in range(3)])[labels]
    expected = np.trace(np.linalg.pinv(covariance) @ np.cov(means.T, bias=True))
    assert h_score(features, labels) == pytest.approx(expected, rel=0.02)  # 3,000 images hardly need shrinkage


def test_the_h_score_does_not_take_noise_for_classes_where_features_are_many():
    noise = np.random.default_rng(0).normal(size=(50, 200)).astype(np.float32)
    assert h_score(noise, np.arange(50) % 2) < 0.2


@pytest.mark.parametrize(("n", "d"), [(30, 4), (12, 20)])
def test_log_me_is_the_largest_evidence_of_a_bayesian_regression(n, d):
    features, labels = clouds(distance=1, n=n, d=d)
    best = []
    for label in range(3):
        target = (labels == label).astype(float)
        evidences = [
            multivariate_normal(np.zeros(n), features @ features.T / alpha + np.eye(n) / beta).logpdf(target) / n
            for alpha in np.geomspace(0.1, 1000, 25)
            for beta in np.geomspace(1, 300, 25)
        ]
        best.append(max(evidences))
    assert log_me(features, labels) == pytest.approx(np.mean(best), abs=0.01)


def test_every_score_prefers_the_features_that_tell_the_classes_apart():
    (near, labels), (far, _) = clouds(distance=0.5), clouds(distance=4)
    groups = np.arange(len(labels))
    assert log_me(far, labels) > log_me(near, labels)
    assert h_score(far, labels) > h_score(near, labels)
    neighbours = [nearest_neighbour_accuracy(each, labels, groups=groups) for each in (near, far)]
    probes = [linear_probe(each, labels, classes=3, groups=groups, seed=0).accuracy for each in (near, far)]
    assert neighbours[1] > neighbours[0]
    assert probes[1] > 0.95 > probes[0]


def test_copies_do_not_answer_for_each_other():
    features, labels = clouds(distance=0, n=60)
    features, labels, groups = np.repeat(features, 2, axis=0), np.repeat(labels, 2), np.repeat(np.arange(60), 2)
    assert nearest_neighbour_accuracy(features, labels, groups=groups) < 0.6
    folds = fold_of_each(labels, groups, seed=0)
    np.testing.assert_array_equal(folds[::2], folds[1::2])


def test_folds_spread_every_class():
    labels = np.repeat(np.arange(3), (50, 7, 1))
    folds = fold_of_each(labels, np.arange(58), seed=0)
    assert np.ptp(np.bincount(folds[:50])) == 0
    assert np.bincount(folds[50:57], minlength=5).max() == 2


def test_a_class_of_one_image_is_answered_for_too():
    features, labels = clouds(distance=4)
    labels[0] = 3
    probe = linear_probe(features, labels, classes=4, groups=np.arange(60), seed=0)
    np.testing.assert_allclose(probe.probabilities.sum(axis=1), 1, rtol=1e-6)
    assert not probe.right[0]


def test_few_images_are_dealt_into_folds_several_times_and_their_probabilities_averaged():
    features, labels = clouds(distance=1)

    def probabilities(seed, repeats):
        groups = np.arange(len(labels))
        return linear_probe(features, labels, classes=3, groups=groups, seed=seed, repeats=repeats).probabilities

    each = [probabilities(seed, 1) for seed in (5, 6, 7)]
    assert np.abs(each[0] - each[1]).max() > 0.01
    np.testing.assert_allclose(probabilities(5, 3), np.mean(each, axis=0))
    assert [repeats_for(images) for images in (0, 40, 250, 340, 501, 1000, 5000)] == [4, 4, 4, 2, 1, 1, 1]


def test_folds_may_be_as_large_as_those_of_other_groups():
    folds = fold_of_each(np.arange(100) % 2, np.arange(100), seed=0, parts=[0.3, 0.3, 0.2, 0.1, 0.1])
    assert np.bincount(folds).tolist() == [30, 30, 20, 10, 10]
    assert np.bincount(folds[1::2]).tolist() == [15, 15, 10, 5, 5]


def test_a_number_is_predicted_alike_beside_another_of_a_larger_unit():
    random = np.random.default_rng(0)
    features = random.normal(size=(150, 60)).astype(np.float32)
    told, noise = features @ random.normal(size=60), 1000 * random.normal(size=150)
    both, alone = (
        ridge_probe(features, values, strata=np.zeros(150, int), groups=np.arange(150), seed=0)[:, 0]
        for values in (np.stack([told, noise], axis=1), told[:, np.newaxis])
    )
    np.testing.assert_allclose(both, alone, atol=1e-4)
    assert np.corrcoef(both, told)[0, 1] > 0.95
