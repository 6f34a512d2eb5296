"""Tests of tl_keras.training.outcome: the result says what was measured, and when."""

import numpy as np
import pytest

from tl_keras.config import TransferConfig
from tl_keras.data.arrays import ArraySource
from tl_keras.evaluation.metrics import accuracy_interval
from tl_keras.runs.records import EpochRecord, Progress
from tl_keras.serving.package import PackagedStudent
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.outcome import outcome, rounded
from tl_keras.training.preparation import decide, prepare


def an_epoch(number, validation_accuracy, *, elapsed):
    return EpochRecord(
        epoch=number,
        phase="head",
        loss=1.0,
        score=0.5,
        validation_loss=0.9,
        validation_score=validation_accuracy,
        seconds=1.0,
        elapsed_seconds=elapsed,
        images_per_second=100.0 * number,
        cached_images_per_second=None,
    )


@pytest.fixture
def result(small_teacher, request):
    """Returns a function that gives the outcome of a run that was prepared but not trained, on pairs that share a group."""
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8)
    source = ArraySource(images, np.arange(40) % 2, groups=np.arange(40) // 2)
    if getattr(request, "param", "") == "copies":
        source = ArraySource(np.repeat(images[:20], 2, axis=0), np.arange(40) // 2 % 2)
    config = TransferConfig(export="none", price_per_hour=3600.0)
    config.model.backbone, config.model.method = str(small_teacher), "feature_extraction"
    prepared = prepare(decide(config, source=source), ModelCache(), source=source)
    prepared.phases[-1].plan.apply(prepared.student.backbone)  # as its trainer does
    epochs = [an_epoch(1, 0.5, elapsed=3.0), an_epoch(2, 0.75, elapsed=4.0), an_epoch(3, 0.75, elapsed=5.0)]
    progress = Progress(kept_phase="head", kept_epoch=3, history=epochs)

    def result(*, measure_test=True):
        test = prepared.splits.test if measure_test else prepared.splits.test[:0]
        labels = prepared.source.labels[np.sort(test if len(test) else prepared.splits.validation)]
        logits = np.where(np.eye(2)[labels] > 0, 2.0, 0.0).astype(np.float32)  # every answer is right
        return outcome(
            prepared,
            progress,
            test=test,
            logits=logits,
            teacher_weights="",
            packaged=PackagedStudent({}, prepared.task),
            seconds={"head": 1.23456},
        )

    return result


def test_the_scores_are_those_of_the_kept_epoch_and_of_the_test_images(result):
    measured = result()
    assert (measured.validation_accuracy, measured.kept_epoch, measured.test_accuracy) == (0.75, 3, 1.0)
    assert measured.test_loss == pytest.approx(np.log1p(np.exp(-2)), rel=1e-5)
    assert (result(measure_test=False).test_accuracy, result(measure_test=False).split) == (None, "validation")


@pytest.mark.parametrize("result", ["groups", "copies"], indirect=True)
def test_images_of_a_group_count_as_what_they_are_in_the_interval(result):
    measured = result()
    low, _ = accuracy_interval(1.0, measured.images["test"])
    assert measured.interval == pytest.approx(
        [1 - np.sqrt(2) * (1 - low), 1.0]
    )  # pairs, each right or wrong as a whole


def test_the_result_says_what_the_splits_kept_whole(result):
    assert result().groups == {"by": "groups", "number": 20}


def test_time_to_accuracy_has_each_best_epoch_and_its_cost(result):
    assert result().time_to_accuracy == [
        {"validation_accuracy": 0.5, "seconds": 3.0, "cost": 3.0},
        {"validation_accuracy": 0.75, "seconds": 4.0, "cost": 4.0},
    ]


def test_the_speed_is_that_of_the_median_epoch(result):
    assert (result().images_per_second, result().cached_images_per_second) == (200.0, None)


def test_parameters_and_images_are_counted(result):
    measured = result()
    assert measured.parameters_trained == 16 * 2 + 2
    assert sum(measured.images.values()) == 40
    assert rounded({"head": 1.23456}) == measured.seconds == {"head": 1.235}
