"""How runs end: with their result, whatever becomes of an export; and that no run goes on with what is another's."""

import dataclasses
import json
import shlex
import shutil
import time
import zipfile

import pytest
from forked_commands import run_command

from tl_keras.config import TransferConfig, flatten, from_json, quick_start, to_json, train_command
from tl_keras.data.sources import open_source
from tl_keras.errors import ExportError, TransferError, WorkdirError
from tl_keras.experiments.measure import evaluate_run
from tl_keras.reporting.run_report import write_report
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.monitoring import compare_images
from tl_keras.serving.predictor import predict_images
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache


def a_config(teacher, **changes):
    """Returns a run of seconds on scikit-learn's digits."""
    config = quick_start()
    config.model.backbone, config.model.weights = str(teacher), "imagenet"
    config.model.method, config.training.epochs = "feature_extraction", 2
    config.export = "none"
    return dataclasses.replace(config, **changes)


@pytest.fixture(scope="module")
def models():
    return ModelCache()


@pytest.fixture(scope="module")
def trained(small_teacher, tmp_path_factory, models):
    """A finished run without exports."""
    workdir = tmp_path_factory.mktemp("ends") / "run"
    train_and_evaluate(a_config(small_teacher), workdir, models=models)
    return workdir


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def with_another_crop(model):
    """Rewrites what a model.keras says of its preprocessing; returns what it was."""
    before = model.read_bytes()
    with zipfile.ZipFile(model) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    facts = json.loads(entries["tl_keras.json"])
    facts["preprocess"] |= {"rule": "central_fraction", "crop_fraction": 0.5}
    with zipfile.ZipFile(model, "w") as archive:
        for name, content in (entries | {"tl_keras.json": json.dumps(facts)}).items():
            archive.writestr(name, content)
    return before


@pytest.mark.long
def test_a_run_whose_export_failed_is_finished_and_exported_by_the_same_command(small_teacher, copy, models):
    config = a_config(small_teacher, export="saved_model")
    right = with_another_crop(copy / "model.keras")
    with pytest.raises(ExportError, match="The run is finished: its result is in") as raised:
        train_and_evaluate(config, copy, models=models)
    assert raised.value.exit_status == 1
    assert "\n" not in str(raised.value)
    assert json.loads((copy / "result.json").read_text())["test_accuracy"] > 0
    assert not (copy / "saved_model").exists()
    (copy / "model.keras").write_bytes(right)
    result = train_and_evaluate(config, copy, models=models)
    assert [row["path"] for row in result.export] == ["saved_model/1"]
    assert result.seconds["exporting"] > 0
    assert json.loads((copy / "result.json").read_text())["export"] == result.export


def test_the_result_is_there_before_anything_is_exported(small_teacher, tmp_path, models):
    seen = []

    def look(workdir):
        result = json.loads((workdir / "result.json").read_text())
        seen.append((result["export"], (workdir / "model.keras").exists(), (workdir / "proof.npz").exists()))

    train_and_evaluate(a_config(small_teacher), tmp_path / "run", models=models, before_export=look)
    assert seen == [([], True, True)]


@pytest.mark.parametrize(
    "name", ["result.json", "splits.json", "labels.txt", "model.keras", "logits.npz", "metrics.jsonl"]
)
def test_what_was_removed_is_written_again_without_training(small_teacher, copy, models, name):
    before = json.loads((copy / "result.json").read_text())
    text = (copy / name).read_text() if name in ("splits.json", "labels.txt", "metrics.jsonl") else None
    (copy / name).unlink()
    result = train_and_evaluate(a_config(small_teacher), copy, models=models)
    assert (result.test_accuracy, result.hashes) == (before["test_accuracy"], before["hashes"])
    assert (copy / name).exists()
    assert text is None or (copy / name).read_text() == text


def test_a_checkpoint_is_not_resumed_under_another_seed(small_teacher, copy, models):
    for name in ("config.json", "result.json"):
        (copy / name).unlink()
    with pytest.raises(WorkdirError, match=r"the checkpoint of another run .*seed: 0 there, 1 now") as raised:
        train_and_evaluate(a_config(small_teacher, seed=1), copy, models=models)
    assert "\n" not in str(raised.value)
    assert not (copy / "config.json").exists()
    train_and_evaluate(a_config(small_teacher), copy, models=models)
    assert (copy / "config.json").exists()


def test_files_of_a_run_that_nothing_vouches_for_are_left_alone(small_teacher, copy, models):
    (copy / "config.json").unlink()
    shutil.rmtree(copy / "checkpoints")
    with pytest.raises(WorkdirError, match=r"expected config\.json and a checkpoint beside"):
        train_and_evaluate(a_config(small_teacher), copy, models=models)


def test_a_directory_that_another_run_has_is_refused(small_teacher, copy, models):
    (copy / "result.json").unlink()
    with RunDirectory(copy).locked(), pytest.raises(WorkdirError, match="no other run is writing"):
        train_and_evaluate(a_config(small_teacher), copy, models=models)


# What says with its empty or zero value what it means, or decides nothing about what is trained.
MEANT = {
    "distillation.teacher_run",  # nobody's answers, no images without labels
    "distillation.unlabelled",
    "data.data_dir",
    "data.splits",
    "data.columns",
    "data.images_in",
    "data.class_order",
    "data.group_by",
    "task",
    "model.unfreeze_schedule",
    "model.start_from",
    "model.head_layers",
    "training.optimizer",
    "training.loss",
    "decision.positive",
    "decision.costs",
    "cache.folder",
    "replicas",
    "price_per_hour",
    "export",
}
OPEN_FOREVER = {"cache.inference_engine"}  # the fastest on the machine that computes


def test_the_config_of_a_run_leaves_nothing_open(trained):
    written = flatten(json.loads((trained / "config.json").read_text())["config"])
    assert written.keys() == flatten(to_json(TransferConfig())).keys()
    defaults = flatten(to_json(TransferConfig()))
    undecided = {name for name, value in written.items() if value == defaults[name] and value in ("", "auto")}
    assert undecided <= MEANT | OPEN_FOREVER
    for name in ("training.epochs", "training.learning_rate", "model.image_size"):
        assert written[name] > 0
    assert (written["precision"], written["strategy"]) == ("float32", "cpu")


@pytest.mark.long
def test_the_parts_of_the_time_are_the_whole(small_teacher, tmp_path):
    run_command("train", "--help")  # waits until the process is there from which commands are forked
    began = time.perf_counter()
    done = run_command(
        "train", f"--workdir={tmp_path / 'run'}", "--data=digits", f"--backbone={small_teacher}", "--epochs=2",
        "--method=feature_extraction",
    )  # fmt: skip
    waited = time.perf_counter() - began
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert {"importing", "preparing", "head", "evaluating", "reporting", "exporting"} <= result["seconds"].keys()
    assert sum(result["seconds"].values()) == pytest.approx(waited, rel=0.25, abs=3)
    assert ", 0 s left" not in done.stderr
    assert "exporting saved_model" in done.stderr
    assert result["images_per_second"] is None  # the epochs read none
    assert result["cached_images_per_second"] > 0


@pytest.mark.slow
def test_the_command_of_a_run_trains_it_again_exactly(small_teacher, tmp_path):
    first, again = tmp_path / "first", tmp_path / "again"
    chosen = ["--method=fine_tune", "--unfreeze=layers:2", "--epochs=2", "--head_epochs=3", "--seed=3", "--noreport"]
    done = run_command(
        "train", f"--workdir={first}", "--data=digits", f"--backbone={small_teacher}", "--export=none", *chosen
    )
    assert done.returncode == 0, done.stderr
    written, result = (json.loads((first / name).read_text()) for name in ("config.json", "result.json"))
    python, _, module, *options = shlex.split(train_command(from_json(written["config"]), str(again)))
    assert (python, module) == ("python", "tl_keras.train")
    done = run_command("train", *options, "--noreport")
    assert done.returncode == 0, done.stderr
    assert json.loads((again / "config.json").read_text()) == written
    assert (again / "splits.json").read_text() == (first / "splits.json").read_text()
    result_again = json.loads((again / "result.json").read_text())
    assert result["hardware"].pop("reason") != result_again["hardware"].pop("reason")  # since the first run chose it
    decided = json.loads((first / "decisions.json").read_text())["reasons"]
    assert [reason.partition(":")[0] for reason in decided] == ["not mirrored in training", "not turned in training"]
    assert not (again / "decisions.json").exists()  # nothing was left open
    measured = ("seconds", "time_to_accuracy", "images_per_second", "cached_images_per_second")
    for name in result.keys() - set(measured):
        assert result_again[name] == result[name], name


def damaged(path, damage):
    content = path.read_bytes()
    path.unlink()
    if damage == "a directory":
        path.mkdir()
    else:
        path.write_bytes(
            {"truncated": content[: len(content) // 2], "empty": b"", "garbage": bytes(range(256))}[damage]
        )


DAMAGED = [
    "config.json",
    "splits.json",
    "result.json",
    "metrics.jsonl",
    "proof.npz",
    "logits.npz",
    "model.keras",
    "labels.txt",
]


@pytest.mark.parametrize(
    "damage",
    [
        "truncated",
        pytest.param("empty", marks=pytest.mark.slow),
        pytest.param("garbage", marks=pytest.mark.slow),
        pytest.param("a directory", marks=pytest.mark.slow),
    ],
)
def test_no_damaged_file_is_a_traceback(small_teacher, trained, tmp_path, models, source_images, damage):
    """Whatever reads a run directory says one line, or does not need the file; of a cut file each reader has its turn."""
    readers = {
        "train": lambda run: train_and_evaluate(a_config(small_teacher, export="saved_model"), run, models=models),
        "report": lambda run: write_report(run, run / "other.html"),
        "evaluate": lambda run: evaluate_run(run, split="validation"),
        "monitor": lambda run: compare_images(run, source_images),
        "predict": lambda run: predict_images(run, [source_images]),
    }
    for number, name in enumerate([*DAMAGED, "checkpoints/last.npz"]):
        for turn, (command, read) in enumerate(readers.items()):
            if command == "train" and name == "checkpoints/last.npz":
                continue  # which an export does not read
            if damage == "truncated" and turn != number % len(readers):
                continue  # the other damages are for all
            run = shutil.copytree(trained, tmp_path / f"{command}_{name.replace('/', '_')}")
            damaged(run / name, damage)
            try:
                read(run)
            except TransferError as error:
                assert "\n" not in str(error), (command, name)
            shutil.rmtree(run)


@pytest.fixture(scope="module")
def source_images(tmp_path_factory):
    """A folder with three digits."""
    folder, digits = tmp_path_factory.mktemp("images"), open_source("digits")
    for index in range(3):
        (folder / f"{index}.png").write_bytes(digits.encoded_image(index))
    return folder
