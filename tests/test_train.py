"""Tests of tl_keras.train, the command; `tests/training/test_loop.py` and `test_run_end.py` train by it."""

import dataclasses
import pathlib
import re
import sys

import pytest
from forked_commands import call_of_command, run_command
from golden_results import golden_result
from pseudo_terminal import lines_on_terminal


def test_the_summary_has_scores_sizes_times_and_files():
    result = golden_result()
    lines = call_of_command("train", "summary", result, "run1").splitlines()
    assert lines[0].startswith(
        f"accuracy: test {result.test_accuracy:.4f}, validation {result.validation_accuracy:.4f}"
    )
    assert lines[0].endswith(f"(kept: epoch {result.kept_epoch}, {result.kept_phase})")
    assert lines[1] == f"parameters: {result.parameters_trained:,} trained, {result.parameters_frozen:,} frozen"
    assert lines[2].startswith(f"seconds: {result.total_seconds:.0f} (")
    assert lines[3].startswith("wrote: run1/model.keras, ") and lines[3].endswith(", run1/result.json")
    assert lines[4] == "next: python -m tl_keras.predict --model=run1 PHOTO"


def test_the_summary_says_what_the_score_is_to_be_compared_with():
    result = golden_result(interval=[0.8125, 0.9375], baseline_score=0.2, head_validation_score=0.75)
    assert call_of_command("train", "summary", result, "run1").splitlines()[1] == (
        f"  95% interval of the {result.split} images 0.812 to 0.938; always the most frequent class 0.2000; "
        "the head alone, validation 0.7500"
    )


def test_the_summary_of_numbers_has_the_error_of_the_median():
    row = {"column": "age", "mean_absolute_error": 5.0, "interval": [4.5, 6.0], "median_baseline_error": 4.0}
    result = golden_result(interval=[0.1, 0.2], baseline_score=None, score_name="r2", measures={"columns": [row]})
    assert "; age (mean error 5, the median's 4)" in call_of_command("train", "summary", result, "run1")


def test_another_score_than_accuracy_is_compared_with_one_answer_for_all():
    result = golden_result(interval=[0.5, 0.9], baseline_score=0.2, score_name="mean_average_precision")
    assert "; one answer for all 0.2000" in call_of_command("train", "summary", result, "run1")


def test_a_score_that_one_image_cannot_tell_has_no_number():
    images = {"train": 6, "validation": 1, "test": 1}
    result = golden_result(
        score_name="r2", test_score=0.0, validation_score=0.0, interval=[0.0, 1.0], baseline_score=None, images=images
    )
    lines = call_of_command("train", "summary", result, "run1").splitlines()
    assert lines[0].startswith("R²: test cannot be told, validation cannot be told  (kept")
    assert lines[1].startswith("  1 test image tells next to nothing of the R²")
    assert "interval" not in " ".join(lines)


def test_the_head_of_folds_is_not_compared_since_it_was_measured_on_other_images():
    folds = {"number": 5, "accuracy": 0.9, "interval": [0.8, 0.95], "by_fold": [0.9] * 5, "images": 140}
    result = golden_result(interval=[0.8, 0.95], head_validation_score=0.75, folds=folds)
    assert "the head alone" not in call_of_command("train", "summary", result, "run1")


def test_the_interval_of_folds_is_said_once():
    folds = {"number": 5, "accuracy": 0.9, "interval": [0.8, 0.95], "by_fold": [0.9] * 5, "images": 140}
    of_folds = golden_result(interval=[0.8, 0.95], baseline_score=0.5, folds=folds, test_score=None)
    assert call_of_command("train", "summary", of_folds, "run1").count("95% interval") == 1
    of_test = dataclasses.replace(of_folds, interval=[0.7, 0.9], test_score=0.8)
    assert "95% interval of the test images 0.700" in call_of_command("train", "summary", of_test, "run1")


def test_of_another_task_the_summary_names_the_score():
    result = golden_result(score_name="mean_precision", test_score=None, fine_tuning_undone=True)
    line = call_of_command("train", "summary", result, "run1").splitlines()[0]
    assert line.startswith(f"mean precision: validation {result.validation_score:.4f}  (")
    assert line.endswith("; fine-tuning made validation worse and is undone)")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["photos"], "flags: expected --name=value. Received: photos"),
        (["--epochs=many"], "epochs: expected 0 (by the number of images) or a whole number"),
        (["--method=finetune"], "method: expected one of"),
        (["--log=mlflw"], "log: expected some of csv, mlflow, wandb"),
        (["--push=me/student"], "push: expected hf://USER/NAME"),
        (["--log=csv", "--compare=methods"], "log: expected a single run"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments, said):
    process = run_command("train", *arguments)
    assert (process.returncode, process.stdout, process.stderr.count("\n")) == (2, "", 1)
    assert said in process.stderr


def form(line: str) -> str:
    """Returns a line of a run without numbers, device and kept phase, which differ from machine to machine."""
    line = re.sub(r"Device: .*, because .*", "Device: one.", re.sub(r"\(kept: .*\)", "(kept)", line))
    return re.sub(r"[\d][\d.,]*(e-?\d+)?", "N", line)


@pytest.mark.slow
def test_a_run_on_a_terminal_leaves_the_lines_that_the_docs_show(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(pathlib.Path(__file__).parent.parent))
    flags = ("--workdir=run1", "--epochs=2", "--head_epochs=8")
    shown = lines_on_terminal(sys.executable, "-m", "tl_keras.train", *flags)
    page = (pathlib.Path(__file__).parent.parent / "docs" / "report.md").read_text(encoding="utf-8")
    command, *documented = re.search(r"```text\n(\$ python -m tl_keras\.train.*?)```", page, re.S)[1].splitlines()
    assert command == "$ python -m tl_keras.train --workdir=run1 --epochs=2 --head_epochs=8"
    assert [form(line) for line in shown] == [form(line) for line in documented]
    assert len(shown) <= 25
