"""Tests of tl_keras.report, the command; its pages are those of `tests/reporting`."""

import pytest
from forked_commands import run_command


@pytest.mark.parametrize("arguments", [[], ["nowhere"], ["nowhere", "elsewhere"]])
def test_the_command_says_what_it_expects(arguments):
    done = run_command("report", *arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: report: expected ")
    assert "Traceback" not in done.stderr
