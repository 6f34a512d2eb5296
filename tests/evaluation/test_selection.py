"""Tests of tl_keras.evaluation.selection: which epoch's weights a run keeps."""

import numpy as np
import pytest

from tl_keras.evaluation.selection import EpochScore, EpochSelection, LastOfPhase, compare


def kept_epoch(scores, images):
    """Returns the position of the epoch that is kept in the end."""
    selection = EpochSelection(images)
    return [i for i, score in enumerate(scores) if selection.keeps(EpochScore(*score))][-1]


# What was trained, validation images, (accuracy, loss) by epoch, and which of them may be kept.
HISTORIES = {
    "a spike of the loss after the best epoch": (28, [(0.9, 0.4), (1.0, 0.005), (1.0, 0.76), (1.0, 0.006)], {3}),
    "a run that ends in a spike of the loss": (28, [(0.9, 0.4), (1.0, 0.005), (1.0, 0.004), (1.0, 0.76)], {2}),
    "a lucky epoch of the warm-up": (5, [(0.6, 1.55), (1.0, 1.5), (0.8, 0.9), (0.8, 0.6), (0.8, 0.5)], {4}),
    "one in five answers fewer is no difference": (5, [(1.0, 0.5), (0.8, 0.6)], {1}),
    "fine-tuning that did harm": (60, [(0.85, 0.5), (0.85, 0.45), (0.70, 0.80), (0.60, 1.2)], {1}),
    "harm that only the loss shows": (28, [(1.0, 0.02), (1.0, 0.01), (0.96, 0.3), (0.93, 0.5)], {1}),
    "fine-tuning that helped": (60, [(0.85, 0.5), (0.85, 0.45), (0.83, 0.46), (0.95, 0.2), (0.93, 0.21)], {4}),
    "more right answers outweigh a higher loss": (1000, [(0.80, 0.6), (0.90, 0.7)], {1}),
    "surer, and no less often right, as heads become late in the cosine": (28, [(0.70, 0.9), (0.72, 1.6)], {1}),
    "epochs that wander around the same": (100, [(0.9, 0.30), (0.93, 0.28), (0.91, 0.31), (0.92, 0.29)], {3}),
    "a loss that is no number": (28, [(0.9, 0.4), (1.0, float("nan"))], {0}),
    "one epoch": (1, [(0.0, 3.0)], {0}),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_an_epoch_that_validation_supports_is_kept(name):
    images, scores, right = HISTORIES[name]
    assert kept_epoch(scores, images) in right


@pytest.mark.parametrize("images", [1, 5, 28, 100, 2000])
@pytest.mark.parametrize("accuracy", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("loss", [0.0, 0.005, 1.0])
def test_a_score_is_not_told_from_itself_nor_from_one_a_hair_away(images, accuracy, loss):
    score = EpochScore(accuracy, loss)
    assert compare(score, score, images=images) == 0
    assert compare(EpochScore(accuracy, loss + 1 / images), score, images=images) == 0


@pytest.mark.parametrize("images", [5, 28, 100, 2000])
def test_of_epochs_as_accurate_none_is_kept_that_is_clearly_less_likely_than_another(images):
    random = np.random.default_rng(images)
    for _ in range(50):
        scores = [EpochScore(1.0, float(loss)) for loss in random.exponential(1.0, 12)]
        kept = scores[kept_epoch([(s.score, s.loss) for s in scores], images)]
        assert all(compare(kept, score, images=images) >= 0 for score in scores if score.loss < kept.loss)


@pytest.mark.parametrize("images", [5, 28, 100, 2000])
def test_of_epochs_as_likely_none_is_kept_that_is_clearly_less_accurate_than_the_best(images):
    random = np.random.default_rng(images)
    for _ in range(50):
        scores = [EpochScore(right / images, 0.3) for right in random.integers(0, images + 1, 12).tolist()]
        kept = scores[kept_epoch([(s.score, s.loss) for s in scores], images)]
        assert compare(kept, max(scores, key=lambda score: score.score), images=images) == 0


@pytest.mark.parametrize("images", [5, 100])
def test_a_run_that_goes_on_decides_as_one_that_was_not_stopped(images):
    random = np.random.default_rng(0)
    scores = [EpochScore(int(random.integers(0, 6)) / 5, float(random.exponential())) for _ in range(20)]
    through = EpochSelection(images)
    decided = [through.keeps(score) for score in scores]
    for stopped in range(20):
        resumed = EpochSelection(images, scores[:stopped])
        assert [resumed.keeps(score) for score in scores[stopped:]] == decided[stopped:]


@pytest.mark.parametrize("images", [28, 100, 500])
def test_noise_of_validation_does_not_pick_an_epoch_early_in_the_cosine(images):
    """Twenty epochs that learn and then stand still: the median of the kept ones is among the last three."""
    random = np.random.default_rng(images)
    kept = []
    for _ in range(40):
        chance = np.minimum(0.9, 0.5 + 0.1 * np.arange(20))
        right = random.binomial(images, chance)
        kept.append(kept_epoch([(r / images, 0.25 + 2 * (1 - r / images)) for r in right], images))
    assert np.median(kept) >= 17


def test_few_images_choose_no_epoch_of_a_phase_but_refuse_what_is_clearly_worse_than_the_phases_before():
    head = [EpochScore(0.5, 1.0), EpochScore(0.7, 0.8)]
    last = LastOfPhase(lambda: EpochSelection(20, head))
    epochs = [EpochScore(0.75, 0.6), EpochScore(0.2, 3.0), EpochScore(0.8, 0.2), EpochScore(0.65, 0.9)]
    assert [last.keeps(epoch) for epoch in epochs] == [True, False, True, True]
    assert [EpochSelection(20, [*head, *epochs[:3]]).keeps(epochs[3])] == [False]  # as many images would choose
    assert not last.keeps(EpochScore(0.9, float("nan")))
    assert LastOfPhase(lambda: EpochSelection(20)).keeps(EpochScore(0.1, 5.0))  # in the first phase
