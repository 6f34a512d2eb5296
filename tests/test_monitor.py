"""Tests of tl_keras.monitor, the command; `tests/serving/test_monitoring.py` runs it on a model."""

import pytest
from forked_commands import call_of_command, run_command

REPORT = {
    "noun": "image",
    "images": 1,
    "left_out": ["1 file cannot be decoded"],
    "checks": [{"line": "outliers: 3.0, limit 2.0: changed"}],
    "labels": [{"label": "cat", "share": 0.25, "share_in_validation": 0.5}],
    "verdict": "retrain",
}


def test_the_text_has_a_line_for_each_fact_and_ends_with_the_verdict():
    assert call_of_command("monitor", "as_text", REPORT).splitlines() == [
        "1 image",
        "1 file cannot be decoded",
        "outliers: 3.0, limit 2.0: changed",
        "cat: 25.0% of the answers, 50.0% in validation",
        "retrain",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--data=photos"], "flags: expected --reference=RUN_DIRECTORY"), (["--reference=no_run", "--data=."], "no_run")],
)
def test_a_mistake_is_one_line_and_status_2(arguments, said):
    process = run_command("monitor", *arguments)
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith("error: ")
    assert said in process.stderr.splitlines()[-1]
