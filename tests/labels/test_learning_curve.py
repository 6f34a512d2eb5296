"""Tests of tl_keras.labels.learning_curve."""

import numpy as np
import pytest

from tl_keras.labels import learning_curve
from tl_keras.labels.herding import choose_images, margin_uncertainty
from tl_keras.labels.learning_curve import Figure, Forecast, forecast
from tl_keras.probes.transferability import fit_classifier, linear_probe
from tl_keras.probes.vectors import directions


def images(count, seed):
    """Features of three overlapping classes, and their labels."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    return (0.35 * np.eye(3, 24)[labels] + 0.2 * random.normal(size=(count, 24))).astype(np.float32), labels


@pytest.fixture(scope="module")
def at_large():
    """Other images of the same kind, and their labels, of which no forecast knows."""
    return images(1500, 100)


def test_the_forecast_holds_what_more_labels_bring(at_large):
    (others, right), within = at_large, 0
    for seed in range(3):
        features, labels = images(160, seed)
        found = forecast(np.concatenate([features[:80], others]), labels[:80], more=80, seed=0)
        true = fit_classifier(features, labels).score(others, right)
        within += found.then.low <= true <= found.then.high
        assert found.gain.low <= found.gain.value <= found.gain.high
        assert found.images == 80 and [count for count, _ in found.curve] == [12, 20, 30, 44, 60, 80]
    assert within >= 2
    assert str(found).startswith("80 more: accuracy 0.")


def test_labels_that_were_asked_for_because_they_are_hard_do_not_lower_it(at_large):
    (others, right), (features, labels) = at_large, images(600, 1)
    vectors = directions(features, features.mean(axis=0))
    shown = choose_images(vectors, labelled=vectors[:0], uncertainty=None, count=40, seed=0)
    unsure = margin_uncertainty(fit_classifier(features[shown], labels[shown]).predict_proba(features))
    more = choose_images(vectors, labelled=vectors[shown], uncertainty=unsure, count=80, seed=0)
    asked = np.union1d(shown, more)
    found = forecast(np.concatenate([features[asked], others]), labels[asked], more=50, seed=0)
    probe = linear_probe(features[asked], labels[asked], classes=3, groups=np.arange(len(asked)), seed=0)
    true = fit_classifier(features[asked], labels[asked]).score(others, right)
    assert probe.accuracy < true - 0.05
    assert found.now.low <= true <= found.now.high


def test_an_accuracy_on_few_images_varies_more_and_the_gain_does_not(at_large):
    (others, _), (features, labels) = at_large, images(80, 0)
    everything = np.concatenate([features, others])
    of_all, of_few = (forecast(everything, labels, more=50, seed=0, measured_on=count) for count in (0, 50))
    assert of_few.then.high - of_few.then.low > of_all.then.high - of_all.then.low
    assert (of_few.gain, of_few.then.value) == (of_all.gain, of_all.then.value)


@pytest.mark.parametrize(
    ("gain", "says"),
    [
        (Figure(0.0003, 0.0, 0.0009), "(a gain of less than 0.01)"),
        (Figure(0.01, 0.0, 0.03), "(a gain of +0.00 to +0.03, 90% interval)"),
    ],
)
def test_a_gain_of_nothing_is_said_in_words(gain, says):
    figure = Figure(0.9, 0.85, 0.95)
    assert str(Forecast(60, 50, figure, figure, gain, ())).endswith(says)


@pytest.mark.parametrize(
    ("labels", "why"), [(np.arange(20) % 2, "too few"), (np.zeros(60, int), "one class"), (np.arange(60), "one each")]
)
def test_where_little_is_known_nothing_is_forecast(labels, why):
    assert forecast(np.zeros((len(labels), 4), np.float32), labels, more=50, seed=0) is None, why


def test_a_curve_that_is_a_power_is_found_again_and_noise_does_not_make_labels_harmful():
    sizes, random = np.array([20, 40, 80, 160]), np.random.default_rng(0)
    for errors, then in ((2.0 * sizes**-0.5, 2.0 * 640**-0.5), (np.array([0.3, 0.3, 0.3, 0.3]), 0.3)):
        curve = learning_curve._Curve(sizes, 1 - errors, np.diag(np.full(4, 1e-6)), 0.0)
        assert np.median(learning_curve._drawn_errors(curve, np.array([640]), random)) == pytest.approx(then, rel=0.05)
    rising = learning_curve._Curve(sizes, 1 - np.array([0.3, 0.31, 0.32, 0.35]), np.diag(np.full(4, 1e-3)), 0.0)
    now, later = learning_curve._drawn_errors(rising, np.array([160, 640]), random)
    assert np.all(later <= now)
