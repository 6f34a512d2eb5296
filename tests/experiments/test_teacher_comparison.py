"""Tests of tl_keras.experiments.teacher_comparison and the distill command: real runs, small."""

import dataclasses
import shutil

import numpy as np
import pytest
from forked_commands import run_command
from PIL import Image

from tl_keras.config import TransferConfig, from_json, to_json, with_epochs
from tl_keras.errors import ConfigError, DataError, WorkdirError
from tl_keras.experiments import timing
from tl_keras.experiments.folds import train_with_folds
from tl_keras.experiments.teacher_comparison import DistillationRow, distil, table, with_data_of
from tl_keras.reporting.run_report import write_report
from tl_keras.runs.directory import RunDirectory
from tl_keras.training.announcement import announcement
from tl_keras.training.loaded_run import load_run
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import decide, prepare, read_images

COLOURS = {"blue": (40, 60, 200), "red": (200, 60, 40)}


def write_photos(folder, images, *, classes=True):
    random = np.random.default_rng(images)
    for number in range(images):
        name = sorted(COLOURS)[number % 2]
        place = folder / name if classes else folder
        place.mkdir(parents=True, exist_ok=True)
        noisy = np.clip(random.normal(COLOURS[name], 70, (16, 16, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(place / f"{number}.png")
    return folder


def a_config(teacher, **changes):
    config = TransferConfig(export="none")
    config.model.backbone, config.training.epochs, config.training.head_epochs = str(teacher), 2, 1
    config.data.augmented_views = 1
    for path, value in changes.items():
        part, _, name = path.partition("__")
        setattr(getattr(config, part), name, value)
    return config


@pytest.fixture(scope="module")
def found(small_teacher, tmp_path_factory):
    """A teacher run, a student alone and a distilled one, which has twelve images without labels too."""
    folder = tmp_path_factory.mktemp("distilled")
    photos = write_photos(folder / "photos", 40)
    train_and_evaluate(a_config(small_teacher, data__source=str(photos)), folder / "big")
    config = with_data_of(
        a_config(
            small_teacher,
            distillation__teacher_run=str(folder / "big"),
            distillation__unlabelled=str(write_photos(folder / "more", 12, classes=False)),
        ),
        str(folder / "big"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "_SECONDS_A_TURN", 0.001)
        return folder, config, distil(config, folder / "small")


@pytest.mark.slow
def test_the_table_has_both_students_and_the_teacher_on_the_same_images(found):
    folder, _, distilled = found
    assert [row.name for row in distilled.rows] == ["student alone", "distilled", "teacher run"]
    assert distilled.rows[2].score == RunDirectory(folder / "big").require_result().score
    assert all(row.milliseconds > 0 and row.parameters > 1000 for row in distilled.rows)
    assert table(distilled).count("\n") == 4


def test_the_table_is_kept_beside_the_runs(found):
    folder, _, distilled = found
    assert (folder / "small" / "distill.txt").read_text(encoding="utf-8") == f"{table(distilled)}\n"


@pytest.mark.long
def test_the_page_names_the_teacher_run(found):
    folder, _, distilled = found
    workdir = distilled.runs[1].workdirs[0]
    pages = {name: write_report(name).read_text(encoding="utf-8") for name in (workdir, folder / "big")}
    learnt, alone = (page.split("<h2", 1)[0] for page in pages.values())
    assert f"It learnt the answers of {folder / 'big'}, a teacher run, beside the labels." in learnt
    assert "a teacher run" not in alone


def test_the_result_says_what_was_learnt_from(found):
    folder, _, distilled = found
    (alone,), (taught,) = (row.results for row in distilled.runs)
    assert alone.distillation is None
    assert taught.distillation["unlabelled_images"] == 12
    assert taught.distillation["same_views"] is True
    big = RunDirectory(folder / "big").require_result()
    assert taught.distillation["teacher_weights"] == big.hashes["student_weights"]
    assert taught.images == alone.images == big.images
    assert "blue" in (distilled.runs[1].workdirs[0] / "labels.txt").read_text()


def test_a_run_is_the_same_with_the_epochs_left_open(found):
    _, _, distilled = found
    workdir = distilled.runs[1].workdirs[0]
    run, begun = RunDirectory(workdir), RunDirectory(workdir).read_config()
    assert len(run.read_splits()["unlabelled"]) == 12
    left_open = from_json(begun["config"])
    left_open.training.epochs = 0
    by_number = with_epochs(left_open, images=len(run.read_splits()["train"]) + 12)
    with pytest.raises(WorkdirError, match=f"training.epochs: 2 there, {by_number.training.epochs} now"):
        run.check_same_run(to_json(left_open))


def test_a_distilled_run_opens_again_without_its_teacher(found):
    _, _, distilled = found
    opened = load_run(distilled.runs[1].workdirs[0], ModelCache())
    assert opened.score(opened.prepared.splits.test, task=opened.answering) == distilled.runs[1].results[0].test_score


def test_a_run_goes_on_only_with_what_it_was_taught(found, tmp_path):
    folder, config, distilled = found
    run = distilled.runs[1].workdirs[0]
    for name in ("config.json", "splits.json", "labels.txt"):
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / name).write_bytes((run / name).read_bytes())
    (tmp_path / "run" / "checkpoints").mkdir()
    saved = next((run / "checkpoints").glob("*.npz"))
    (tmp_path / "run" / "checkpoints" / saved.name).write_bytes(saved.read_bytes())
    added = write_photos(folder / "one_more", 14, classes=False)
    changed = from_json(to_json(config))
    changed.distillation.unlabelled = str(folder / "more")
    more = folder / "more" / "added.png"
    more.write_bytes((added / "13.png").read_bytes())
    try:
        with pytest.raises(WorkdirError, match="what the teacher run teaches"):
            train_and_evaluate(changed, tmp_path / "run")
    finally:
        more.unlink()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"distillation__teacher_run": ""}, ConfigError, "unlabelled: expected a teacher run"),
        (
            {"data__test_fraction": 0.4, "distillation__unlabelled": ""},
            DataError,
            "has not seen what is measured",
        ),
    ],
)
def test_what_cannot_teach_is_refused(found, changes, error, message, tmp_path):
    config = from_json(to_json(found[1]))
    for path, value in changes.items():
        part, _, name = path.partition("__")
        setattr(getattr(config, part), name, value)
    with pytest.raises(error, match=message):
        train_and_evaluate(config, tmp_path / "run")


def test_a_missing_folder_of_images_without_labels_is_said_before_anything_is_read(found, tmp_path):
    config = from_json(to_json(found[1]))
    config.distillation.unlabelled, config.data.source = "nowhere/", "neither/"
    for program in (distil, train_and_evaluate):
        with pytest.raises(DataError, match=r"^unlabelled: nowhere: expected"):
            program(config, tmp_path / "small")


@pytest.mark.long
def test_who_has_trained_on_validation_images_too_can_teach(found, small_teacher, tmp_path):
    """As a run of few images does by default: what is reported is measured on the test images."""
    folder, config, _ = found
    models = ModelCache()
    frozen = {"model__method": "feature_extraction", "training__refit": "auto"}
    big = a_config(small_teacher, data__source=str(folder / "photos"), **frozen)
    refitted = train_and_evaluate(big, tmp_path / "big", models=models)
    assert refitted.refit["images"] == refitted.images["train"] + refitted.images["validation"]
    config = from_json(to_json(config))
    config.distillation.teacher_run, config.distillation.unlabelled = str(tmp_path / "big"), ""
    config.model.method = "feature_extraction"
    taught = train_and_evaluate(config, tmp_path / "small", models=models)
    assert taught.images == refitted.images
    # Without images that have no label, mixtures of those that are trained on are learnt too.
    assert taught.distillation["unlabelled_images"] == 4 * taught.images["train"]
    assert train_and_evaluate(config, tmp_path / "small", models=models) == dataclasses.replace(taught, resumed=True)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, "112 mixtures of two training images"),
        ({"mixtures": "off"}, "0"),
        ({"unlabelled": "more"}, "12 images without labels"),
    ],
)
def test_mixtures_stand_in_for_images_without_labels(found, changes, wanted):
    folder, config, _ = found
    config = from_json(to_json(config))
    config.distillation.unlabelled = str(folder / changes["unlabelled"]) if "unlabelled" in changes else ""
    config.distillation.mixtures = changes.get("mixtures", "on")
    models, number = ModelCache(), int(wanted.partition(" ")[0])
    images = read_images(decide(config), models)
    assert len(images.splits.train) == 28
    assert len(images.distilled) == number
    said = announcement(prepare(decide(config), models, images=images))
    assert (f"% of the loss, for {wanted} too, at temperature" if number else "% of the loss, at temperature") in said
    config.task = "ordinal"  # measured for classes alone
    config.data.class_order = "blue,red"
    assert len(read_images(decide(config), ModelCache()).distilled) == (number if config.distillation.unlabelled else 0)


def test_folds_learn_from_labels_alone(found, tmp_path):
    with pytest.raises(ConfigError, match="folds: expected to learn from labels alone"):
        train_with_folds(found[1], tmp_path / "run", folds=2)


def test_without_a_gap_nothing_is_closed(found):
    rows = (DistillationRow("a", 0.9, 1, 1.0), DistillationRow("b", 0.95, 1, 1.0), DistillationRow("c", 0.9, 1, 1.0))
    assert dataclasses.replace(found[2], rows=rows).gap_closed is None
    rows = (rows[0], rows[1], dataclasses.replace(rows[2], score=1.0))
    assert dataclasses.replace(found[2], rows=rows).gap_closed == pytest.approx(0.5)


def test_the_command_says_that_a_teacher_run_is_lacking(tmp_path):
    done = run_command("distill", f"--teacher_run={tmp_path}", f"--workdir={tmp_path / 'small'}")
    assert done.returncode == 2
    assert "expected the directory of a finished run" in done.stderr
    assert "where no run has begun" in done.stderr


def test_a_model_without_its_config_does_not_tell_the_images(found, tmp_path):
    shutil.copy(found[0] / "big" / "model.keras", tmp_path)
    with pytest.raises(ConfigError, match=r"without config\.json. Name --data"):
        with_data_of(found[1], str(tmp_path))


def test_a_teacher_run_that_has_not_ended_is_refused_before_anything_is_read(found, tmp_path):
    folder, config, _ = found
    shutil.copytree(folder / "big", tmp_path / "begun")
    (tmp_path / "begun" / "model.keras").unlink()
    config = from_json(to_json(config))
    config.distillation.teacher_run, config.data.source = str(tmp_path / "begun"), "nowhere/"
    for program in (distil, train_and_evaluate):
        with pytest.raises(ConfigError, match="whose run has not ended"):
            program(config, tmp_path / "small")


def test_the_runs_of_students_are_not_put_into_a_run(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    process = run_command("distill", f"--teacher_run={tmp_path}", f"--workdir={tmp_path}")
    assert (process.returncode, process.stderr.count("\n")) == (2, 1)
    assert "which is a run itself. Use another --workdir." in process.stderr
