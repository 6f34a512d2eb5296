"""Tests of tl_keras.stop_signals: a stop arrives, whatever the main thread runs at that moment."""

import contextlib
import ctypes
import signal
import subprocess
import sys
import time

import pytest

from tl_keras.errors import Terminated
from tl_keras.stop_signals import stop_signals


@pytest.fixture(autouse=True)
def ctrl_c_as_in_a_terminal():
    """A shell's background job, which the tests may be, ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class StopsInItsDestructor:
    def __init__(self, number):
        self.number = number

    def __del__(self):
        signal.raise_signal(self.number)


def stop_in_a_callback_from_native_code(number):
    callback = ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(number))
    callback()


def stop_in_code_that_catches_everything(number):
    with contextlib.suppress(BaseException):
        signal.raise_signal(number)


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
@pytest.mark.parametrize(
    "lose", [StopsInItsDestructor, stop_in_a_callback_from_native_code, stop_in_code_that_catches_everything]
)
def test_a_stop_that_a_library_loses_is_raised_again(lose, number, raised):
    with pytest.raises(raised) as stop, stop_signals():
        lose(number)
        time.sleep(20)
    assert stop.type is raised


def test_an_exception_that_is_no_stop_is_printed_as_ever(monkeypatch):
    printed = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: printed.append(lost.exc_type))
    with stop_signals():
        ctypes.CFUNCTYPE(None)(lambda: int("no number"))()
    with pytest.raises(Terminated), stop_signals():
        stop_in_a_callback_from_native_code(signal.SIGTERM)
        time.sleep(20)
    assert printed == [ValueError]


def test_the_code_that_receives_a_stop_is_not_disturbed():
    saved = []
    with pytest.raises(Terminated), stop_signals():
        try:
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                time.sleep(0.3)
                saved.append("in finally")
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGTERM)
            time.sleep(0.3)
            saved.append("in except")
            raise
    assert saved == ["in finally", "in except"]


def test_a_second_ctrl_c_does_not_wait():
    waited = []
    with pytest.raises(KeyboardInterrupt), stop_signals():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGINT)
            waited.append("to the end")
    assert waited == []


def test_ctrl_c_that_is_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_signals():
        signal.raise_signal(signal.SIGINT)


def test_an_alarm_that_is_on_its_way_when_the_stop_is_received_ends_no_process():
    """By default an alarm kills; the signal mask stands for the moment between the timer and the handler."""
    code = """
import signal, time
from tl_keras.stop_signals import stop_signals
try:
    with stop_signals():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
            time.sleep(0.2)
except KeyboardInterrupt:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
    time.sleep(0.2)
    print("alive")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr


def test_the_handlers_of_before_are_back():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)]
    printer = sys.unraisablehook
    with stop_signals():
        assert signal.getsignal(signal.SIGTERM) is not before[0]
    assert sys.unraisablehook is printer
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)] == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
