"""Tests of tl_keras.training.time_left: how long a run still takes, with all that follows the phase."""

import types

import pytest

from tl_keras.config import TransferConfig
from tl_keras.training.time_left import TimeLeft, duration, time_after


def left_after(
    position, *, forward=(None, 0.01), export="saved_model", seconds=None, importing=2.0, refit_on=0, trained_on=0
):
    """Returns the time after a phase of a run of 40 + 10 epochs over 100 images."""
    phases = [types.SimpleNamespace(name=name, epochs=epochs) for name, epochs in (("head", 40), ("fine-tuning", 10))]
    inputs = [types.SimpleNamespace(forward_seconds=each) for each in forward]
    config = TransferConfig(export=export)
    return time_after(
        position,
        phases,
        inputs,
        images=100,
        config=config,
        seconds=seconds or {},
        importing=importing,
        refit_on=refit_on,
        trained_on=trained_on,
    )


def test_the_phases_to_come_the_report_and_the_exports_are_in_it():
    assert left_after(1) == TimeLeft(9.0)
    assert left_after(0) == TimeLeft(9.0 + 10 * 100 * 4 * 0.01)
    assert left_after(0, export="none").seconds == pytest.approx(3.0 + 40.0)
    assert left_after(1, importing=0.0).seconds == 18.0  # a program has imported TensorFlow before


def test_what_is_trained_again_on_more_images_is_in_it():
    assert left_after(0, refit_on=120) == TimeLeft(9.0 + 2.2 * 10 * 100 * 4 * 0.01, again=1.2)
    last = left_after(1, seconds={"importing": 117.0, "head": 10.0}, refit_on=120)
    assert last == TimeLeft(9.0 + 1.2 * 10.0, again=1.2)
    # 5 of the phase, 24 + 12 of all again, 12 of the report and the export.
    assert last.in_words(5.0, whole=20.0) == "50 s left"


def test_what_is_trained_again_takes_as_long_for_an_image_as_it_took():
    seconds = {"importing": 2.0, "head": 3.0, "fine-tuning": 8.0}
    assert left_after(0, forward=(None, None), seconds=seconds, trained_on=80) == TimeLeft(9.0 + 1.25 * 8.0)


def test_a_phase_that_nobody_has_timed_is_named():
    assert left_after(0, forward=(None, None)).in_words(12.3, whole=20) == "12 s left, then fine-tuning"
    assert left_after(0).in_words(12.3, whole=20) == "61 s left"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (99.0, "99 s"), (150.0, "2 min"), (5_000.0, "83 min"), (7_500.0, "2 h 05 min")]
)
def test_a_duration_is_said_in_its_unit(seconds, said):
    assert duration(seconds) == said
