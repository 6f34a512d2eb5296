"""Tests of tl_keras.reporting.summary, on the result of a real run with one figure changed."""

import pathlib
import shlex

import pytest
from golden_results import golden_result

from tl_keras.config import TransferConfig
from tl_keras.reporting.finished_run import FinishedRun
from tl_keras.reporting.summary import next_steps, snippet, verdict


def a_run(**changes) -> FinishedRun:
    """Returns a finished run on 40 validation images with 90% right and the interval from 76% to 97%."""
    result = golden_result(
        **{
            "validation_score": 0.9,
            "test_score": None,
            "interval": [0.76, 0.97],
            "baseline_score": 0.5,
            "head_validation_score": 0.85,
            "fine_tuning_undone": False,
            "images": {"train": 100, "validation": 40, "test": 0},
            **changes,
        },
    )
    config = TransferConfig()
    config.data.source = "my photos/"
    return FinishedRun(pathlib.Path("run1"), config, result, {})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {},
            "Clearly better than one answer for all, whose accuracy is 50.0%; fine-tuning raised validation from 85.0%",
        ),
        ({"baseline_score": 0.85}, "Not clearly better than one answer for all"),
        ({"baseline_score": 0.98}, "Clearly worse than one answer for all, whose accuracy is 98.0%"),
        ({"head_validation_score": 0.9}, "fine-tuning gained nothing on validation over the head alone, 90.0%"),
        (
            {"head_validation_score": 0.95},
            "fine-tuning lowered validation from 95.0%, the head alone, to 90.0%, which may be chance",
        ),
        ({"fine_tuning_undone": True}, "fine-tuning did harm and was undone"),
    ],
)
def test_the_verdict_compares_with_one_answer_and_with_the_head(changes, said):
    assert said in verdict(a_run(**changes))


def test_a_run_without_anything_to_compare_with_has_no_verdict():
    assert verdict(a_run(baseline_score=None, head_validation_score=None)) == ""


def column(name, error, interval):
    return {"column": name, "mean_absolute_error": error, "interval": interval, "median_baseline_error": 9.0}


def test_numbers_are_compared_with_the_median_the_worst_first():
    columns = [column("age", 4.0, [3.0, 5.0]), column("size", 12.0, [10.0, 14.0]), column("mass", 8.0, [7.0, 10.0])]
    run = a_run(baseline_score=None, head_validation_score=None, score_name="r2", measures={"columns": columns})
    assert verdict(run) == (
        "Clearly worse than the median for all: size (mean error 12, the median's 9); not clearly better than the median for all: "
        "mass (mean error 8, the median's 9); clearly better than the median for all: age (mean error 4, the median's 9)."
    )


def test_of_many_numbers_some_are_named():
    columns = [column(str(number), 4.0, [3.0, 5.0]) for number in range(10)]
    run = a_run(baseline_score=None, head_validation_score=None, score_name="r2", measures={"columns": columns})
    assert verdict(run).endswith("and 7 more.")


def test_the_head_of_folds_was_measured_on_other_images_and_is_not_compared():
    folds = {"number": 5, "accuracy": 0.9, "interval": [0.76, 0.97], "by_fold": [0.9] * 5, "images": 140}
    assert "head alone" in verdict(a_run())
    assert "head alone" not in verdict(a_run(folds=folds))


def test_the_next_steps_name_weak_classes_and_commands_that_a_shell_takes():
    classes = [{"class": "cat", "recall": 0.5, "examples": 9}, {"class": "dog", "recall": 0.9, "examples": 9}]
    steps = next_steps(a_run(), classes, in_memory=False)
    assert "found least: cat (50% found). In a folder" in steps[0].text
    assert [step.command.split()[2] for step in steps] == [
        "tl_keras.label_next",
        "tl_keras.inspect",
        "tl_keras.train",
        "tl_keras.sweep",
        "tl_keras.advise",
    ]
    assert all("'--data=my photos/'" in step.command for step in steps[1:])
    (alone,) = next_steps(a_run(), classes, in_memory=True)
    assert alone.text.endswith("(50% found).") and not alone.command


def test_the_commands_for_texts_have_no_width():
    run = a_run()
    run.config.model.backbone, run.config.model.alpha, run.config.model.image_size = "MiniLM-L6", 1.0, 0
    commands = [step.command for step in next_steps(run, [], in_memory=False)]
    assert any("--backbone=MiniLM-L6" in command for command in commands)
    assert not any("--alpha" in command for command in commands)


def test_the_commands_decide_and_hold_out_as_the_run_did():
    folds = {"number": 5, "accuracy": 0.9, "interval": [0.76, 0.97], "by_fold": [0.9] * 5, "images": 140}
    run = a_run(folds=folds)
    run.config.decision.positive, run.config.decision.min_recall = "cat", 0.95
    commands = [step.command for step in next_steps(run, [], in_memory=False)]
    sweep = next(command for command in commands if "tl_keras.sweep" in command)
    assert "--positive=cat --min_recall=0.95 --folds=5 --workdir=" in sweep


def test_classes_that_were_not_measured_come_first():
    classes = [{"class": "cat", "recall": 0.5, "examples": 9}, {"class": "emu", "recall": None, "examples": 0}]
    assert "found least: emu (none measured), cat (50% found)." in next_steps(a_run(), classes, in_memory=True)[0].text


def test_a_run_that_took_a_finer_map_is_shown_how_larger_images_train():
    run = a_run()
    run.config.model.output_stride, run.config.model.pooling, run.config.model.image_size = 8, "max", 224
    (step,) = [each for each in next_steps(run, [], in_memory=False) if "Small things" in each.text]
    assert step.command == (
        "python -m tl_keras.train '--data=my photos/' --config.model.output_stride=8 --config.model.pooling=max --image_size=448 "
        "--batch_size=8 --config.training.fine_tune_learning_rate_factor=0.1 --config.data.horizontal_flip=on "
        "--config.data.quarter_turns=on --workdir=run1_larger"
    )
    run.config.model.image_size = 448
    assert not any("Small things" in each.text for each in next_steps(run, [], in_memory=False))


def test_the_commands_read_the_images_as_the_run_did():
    run = a_run()
    run.config.task, run.config.data.columns, run.config.data.group_by = "regression", "label=red cells", "folder"
    steps = [shlex.split(step.command) for step in next_steps(run, [], in_memory=False)]
    assert len(steps) == 4
    assert all({"--columns=label=red cells", "--group_by=folder", "--task=regression"} <= set(step) for step in steps)


@pytest.mark.parametrize(
    ("model", "flags"),
    [
        ({}, ""),
        ({"alpha": 1.0, "image_size": 224, "pooling": "average"}, ""),  # as they are by default
        ({"output_stride": 8, "pooling": "max"}, " --config.model.output_stride=8 --config.model.pooling=max"),
        ({"alpha": 0.35, "image_size": 128}, " --alpha=0.35 --image_size=128"),
        ({"backbone": "ResNet50", "image_size": 224}, " --backbone=ResNet50"),
        ({"weights": "embedded", "alpha": 0.35, "image_size": 96}, " --weights=embedded --image_size=96"),
    ],
)
def test_commands_that_train_take_the_teacher_as_the_run_did(model, flags):
    run = a_run()
    for name, value in model.items():
        setattr(run.config.model, name, value)
    steps = [step.command for step in next_steps(run, [], in_memory=False)]
    folds, sweep = [step for step in steps if step.split()[2] in ("tl_keras.train", "tl_keras.sweep")]
    assert f"'--data=my photos/'{flags} --folds=5 " in folds
    assert f"'--data=my photos/'{flags} --workdir=" in sweep


def test_folds_are_no_step_where_the_score_is_known_well():
    steps = next_steps(a_run(interval=[0.85, 0.95]), [], in_memory=False)
    assert not any("--folds" in step.command for step in steps)


def test_a_student_of_a_teacher_run_has_no_folds():
    run = a_run()
    run.config.distillation.teacher_run = "big"
    assert not any("--folds" in step.command for step in next_steps(run, [], in_memory=False))


def test_images_in_memory_have_no_command():
    assert next_steps(a_run(), [], in_memory=True) == []


def test_the_snippet_opens_the_run():
    assert "tl_keras.Run('run1')" in snippet(a_run())


def test_one_image_measures_roughly():
    run = a_run(images={"train": 5, "validation": 1, "test": 0}, interval=[0.0, 1.0])
    assert any(step.text.startswith("1 image measures roughly: ") for step in next_steps(run, [], in_memory=False))


def test_a_score_that_validation_cannot_tell_is_compared_with_no_head():
    run = a_run(score_name="r2", baseline_score=None, images={"train": 6, "validation": 1, "test": 0})
    assert verdict(run) == ""
