"""Tests of tl_keras.reporting.after_training: the pages that the commands leave, and what happens where they cannot."""

import json
import shutil

import pytest
from forked_commands import run_command

from tl_keras.reporting.after_training import report_run

FLAGS = ("--epochs=2", "--config.training.head_epochs=2", "--config.data.train_examples_per_class=5")


@pytest.mark.long
def test_train_leaves_the_page_and_it_is_small(tmp_path):
    first = run_command("train", *FLAGS, "--method=feature_extraction", f"--workdir={tmp_path}", "--config.export=none")
    assert f"wrote: {tmp_path}/report.html" in first.stdout, first.stderr
    assert len(json.loads((tmp_path / "splits.json").read_text())["test"]) > 800
    assert 1e5 < (tmp_path / "report.html").stat().st_size < 5e6


def test_a_page_that_is_there_is_left_alone(in_memory, capsys):
    report_run(in_memory[0])
    assert capsys.readouterr() == ("", "")
    assert (in_memory[0] / "report.html").read_text() == in_memory[1]


@pytest.mark.slow
def test_a_sweep_leaves_a_comparison_and_the_page_of_its_choice(tmp_path):
    done = run_command("sweep", *FLAGS, f"--workdir={tmp_path}", "--unfreeze=none,blocks:1")
    assert done.returncode == 0, done.stderr
    assert "2 runs compared" in (tmp_path / "report.html").read_text()
    (page,) = tmp_path.glob("*/seed_0/report.html")
    assert "Beside the other runs" in page.read_text()


def test_what_goes_wrong_is_one_line_and_the_run_stays_finished(in_memory, tmp_path, capsys):
    run = shutil.copytree(in_memory[0], tmp_path / "run")
    (run / "report.html").unlink()
    report_run(run)  # whose images are gone with the process that had them
    assert capsys.readouterr().err.startswith(f"no {run}/report.html: ")
    assert (run / "result.json").exists()
