"""Tests of tl_keras.training.announcement: what a run says before it trains."""

import numpy as np
import pytest

from tl_keras.config import TransferConfig
from tl_keras.data.arrays import ArraySource
from tl_keras.training.announcement import announcement
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import decide, prepare


@pytest.fixture
def said(small_teacher):
    """Returns a function that gives the announcement of a run."""
    images = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), np.uint8)
    source = ArraySource(images, np.arange(24) % 2)
    models = ModelCache()

    def said(
        *,
        method="feature_extraction",
        unfreeze="",
        learning_rate=0.0,
        precision="float32",
        head_epochs=2,
        epochs=3,
        refit_on=0,
        folds=False,
        find_learning_rate=False,
    ):
        config = TransferConfig(export="none", precision=precision)
        config.model.backbone, config.model.method, config.model.unfreeze = str(small_teacher), method, unfreeze
        config.training.epochs, config.training.head_epochs, config.training.learning_rate = (
            epochs,
            head_epochs,
            learning_rate,
        )
        config.data.augmentation, config.training.find_learning_rate = "none", find_learning_rate
        prepared = prepare(decide(config, source=source), models, source=source)
        return announcement(prepared, refit_on=refit_on, measured_by_folds=folds)

    return said


def test_teacher_method_phases_images_and_device_are_said(said):
    text = said(method="fine_tune", unfreeze="layers:2")
    assert text.startswith("teacher ")
    assert "16 px; method fine_tune: the head first" in text
    assert "Head: 2 epochs at 0.01, all 2 blocks frozen." in text
    assert "Then fine-tuning: 3 epochs at " in text
    assert (
        "images: 18 train, 2 validation, 4 test. Device: " in text
        or "images: 16 train, 4 validation, 4 test. Device: " in text
    )


@pytest.mark.parametrize(("unfreeze", "times"), [("fraction:0.6", 1), ("fraction:0.7", 0)])
def test_that_a_cut_is_widened_is_said_of_one_that_is_not_the_default(said, unfreeze, times):
    assert said(method="fine_tune", unfreeze=unfreeze).count("cuts inside") == times


def test_a_rate_that_is_found_later_is_not_said_before(said):
    text = said(method="fine_tune", unfreeze="layers:2", find_learning_rate=True)
    assert "Head: 2 epochs at the rate that a range test finds, all 2 blocks frozen." in text
    assert "Then fine-tuning: 3 epochs at 0.03 of that rate, " in text


def test_that_the_folds_measured_the_images_that_all_train_is_said(said):
    text = said(folds=True)
    assert " train, all of which the folds have measured, 4 test. Device: " in text
    assert "validation," not in text


def test_where_the_head_trains_longer_than_epochs_asks_for_it_is_said(said):
    text = said(method="fine_tune", unfreeze="layers:2", head_epochs=0)
    assert (
        "epochs: 3 epochs of fine-tuning (--epochs), and before them 500 of the head on frozen layers (--head_epochs)."
        in text
    )
    left_open = said(method="fine_tune", unfreeze="layers:2", head_epochs=300, epochs=0)
    both = said(method="fine_tune", unfreeze="layers:2", head_epochs=300, epochs=2)
    for other in (both, left_open, said()):
        assert "--head_epochs" not in other


def test_a_rate_that_erases_what_the_teacher_knows_is_said(said):
    assert "may erase what the teacher has learnt" in said(method="fine_tune", unfreeze="all", learning_rate=0.1)
    assert "erase" not in said(method="fine_tune", unfreeze="all")
    assert "erase" not in said(learning_rate=0.1)


def test_a_precision_that_rounds_is_said(said):
    assert "the backbone trains in bfloat16" in said(precision="bfloat16")
    assert "bfloat16" not in said()


def test_that_training_begins_again_on_all_images_is_said(said):
    assert (
        "too few to tell much: in the end training begins again on all 20 images of training and validation, and the test images"
        in said(refit_on=20)
    )
    assert "too few" not in said()
