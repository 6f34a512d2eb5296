"""Tests of tl_keras.runs.stopwatch."""

import time

import pytest

from tl_keras.runs.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    now = {"time": 100.0}
    monkeypatch.setattr(time, "perf_counter", lambda: now["time"])
    return now


def test_the_parts_add_up_to_all_the_time_since_the_beginning(clock):
    watch = Stopwatch(began=97.0, part="importing")
    clock["time"] = 101.0
    watch.start("training")
    clock["time"] = 111.0
    watch.start("evaluating")
    clock["time"] = 112.5
    watch.start("training")
    clock["time"] = 113.0
    assert watch.seconds() == {"importing": 4.0, "training": 10.5, "evaluating": 1.5}
    assert watch.total == 16.0


def test_what_earlier_processes_spent_is_added(clock):
    watch = Stopwatch(part="training")
    watch.add({"training": 5.0, "exporting": 2.0})
    clock["time"] = 101.0
    assert watch.seconds() == {"training": 6.0, "exporting": 2.0}
    assert (watch.here("training"), watch.here("exporting")) == (1.0, 0.0)
