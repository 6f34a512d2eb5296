"""Tests of tl_keras.training.out_of_fold: what the folds found is read at the same point of the schedule."""

import dataclasses

import numpy as np
import pytest
from golden_results import golden_epochs

from tl_keras.data.splits import Splits
from tl_keras.training.out_of_fold import OutOfFold, ScoresOfFolds
from tl_keras.training.preparation import RunImages


@pytest.fixture
def found():
    """Two folds, the second of which has half as many epochs, over ten labelled images."""
    labelled = np.arange(3, 13)
    splits = Splits(labelled, labelled, np.arange(3), 0, 0.15, 0.15, 0)
    epoch = golden_epochs()[0]
    histories = tuple(
        tuple(
            dataclasses.replace(
                epoch, phase="head", epoch=number + 1, validation_score=share, validation_loss=1 - share
            )
            for number, share in enumerate(shares)
        )
        for shares in ([0.25, 0.5, 0.75, 1.0], [0.5, 1.0])
    )
    return OutOfFold(
        images=RunImages(None, None, splits),
        fold=np.arange(10) % 2,
        logits=np.eye(10, dtype=np.float32),
        histories=histories,
        planned=({"head": 4}, {"head": 2}),
        validation_images=4,
        scores=(0.5, 0.7),
        score=0.6,
        interval=(0.4, 0.8),
        score_name="accuracy",
    )


def test_folds_of_different_length_are_compared_at_the_same_share_of_the_schedule(found):
    assert found.score_at("head", 0.5) == pytest.approx((0.5, 0.5))
    assert found.score_at("head", 1.0) == pytest.approx((1.0, 0.0))


def test_a_fold_that_stopped_early_is_as_far_as_its_plan_says(found):
    stopped = dataclasses.replace(found, planned=({"head": 8}, {"head": 4}))
    assert stopped.score_at("head", 0.25) == pytest.approx((0.5, 0.5))
    assert stopped.score_at("head", 0.5) == stopped.score_at("head", 1.0) == pytest.approx((1.0, 0.0))


def test_logits_are_found_by_image_and_halves_do_not_meet(found):
    assert found.logits_of(np.array([12, 3])).argmax(axis=1).tolist() == [9, 0]
    halves = found.halves()
    assert sorted([*halves.train, *halves.validation]) == list(range(3, 13))
    assert found.to_json() == {
        "number": 2,
        "accuracy": 0.6,
        "interval": [0.4, 0.8],
        "by_fold": [0.5, 0.7],
        "images": 10,
    }


def test_keras_is_given_the_scores_of_the_folds(found):
    scores, tested, ended = ScoresOfFolds(found, "head", first_epoch=4, epochs=2), {"loss": 9.0}, {"val_loss": 9.0}
    scores.on_epoch_begin(4)
    scores.on_test_end(tested)
    scores.on_epoch_end(4, ended)
    assert tested == pytest.approx({"accuracy": 0.5, "loss": 0.5})
    assert ended == pytest.approx({"val_accuracy": 0.5, "val_loss": 0.5})
