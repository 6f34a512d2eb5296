"""Tests of tl_keras.experiments.sweep: real sweeps, small."""

import json
import os
import pathlib
import signal
import time

import numpy as np
import pytest
from forked_commands import run_command, start_command
from golden_results import golden_result

from tl_keras.config import TransferConfig
from tl_keras.experiments.comparison import Row, best
from tl_keras.experiments.sweep import Sweep, describe, sweep
from tl_keras.training.loop import train_and_evaluate

CUTS = ("none", "layers:3", "layers:6")  # of the small teacher: the last convolution, or both


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A source of images of two classes, darker and brighter ones, a few of which are told wrong."""
    random, labels = np.random.default_rng(0), np.arange(240) % 2
    means = random.normal(80 + 90 * labels, 45)[:, None, None, None]
    pixels = random.normal(means, 40, (240, 16, 16, 3)).clip(0, 255).astype(np.uint8)
    file = tmp_path_factory.mktemp("images") / "images.npz"
    np.savez(file, x_train=pixels[:160], y_train=labels[:160], x_test=pixels[160:], y_test=labels[160:])
    return f"npz:{file}"


@pytest.fixture(scope="module")
def config_of(images, small_teacher):
    def config_of():
        config = TransferConfig()
        config.data.source, config.model.backbone = images, str(small_teacher)
        config.model.method = "fine_tune"
        config.training.epochs = config.training.head_epochs = 4
        config.training.learning_rate = 1e-2
        return config

    return config_of


@pytest.fixture(scope="module")
def swept(config_of, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("sweeps") / "sweep"
    return workdir, sweep(config_of(), workdir, unfreeze=CUTS)


@pytest.mark.long
def test_it_leaves_a_table_a_plot_and_the_runs(swept):
    workdir, found = swept
    assert {path.name for path in workdir.iterdir()} >= {"sweep.json", "sweep.txt", "sweep.png", "none", "layers_3"}
    assert [row.name for row in found.rows] == list(CUTS)
    parameters = [row.parameters_trained for row in found.rows]
    assert parameters == sorted(set(parameters))


def test_the_head_is_trained_once_for_all_cuts(swept):
    heads = [json.loads((row.workdirs[0] / "result.json").read_text())["seconds"]["head"] for row in swept[1].rows]
    assert heads[1] == pytest.approx(heads[2], abs=0.1)  # seconds; the one takes the time that the other has needed


def test_test_images_are_looked_at_for_the_chosen_alone(swept):
    workdir, found = swept
    results = [json.loads((row.workdirs[0] / "result.json").read_text()) for row in found.rows]
    assert all("test_accuracy" not in result for result in results)
    assert [row.test for row in found.rows] == [None, None, None]
    assert json.loads((workdir / "sweep.json").read_text())["test_accuracy"] == found.chosen.test.tolist()
    assert 0.5 < found.chosen.test[0] < 1


def test_the_chosen_alone_is_exported(swept):
    workdir, found = swept
    assert list(workdir.glob("*/seed_*/saved_model/*")) == [found.chosen.workdirs[0] / "saved_model" / "1"]


def test_a_run_of_the_sweep_is_what_train_makes_of_it(swept, config_of, tmp_path):
    _, found = swept
    config = config_of()
    config.model.unfreeze, config.export = CUTS[1], "none"
    alone = train_and_evaluate(config, tmp_path / "alone")
    in_sweep = json.loads((found.rows[1].workdirs[0] / "result.json").read_text())
    assert alone.validation_accuracy == pytest.approx(in_sweep["validation_accuracy"], abs=1 / 187)
    assert alone.hashes["teacher_weights"] == in_sweep["hashes"]["teacher_weights"]


def a_row(name, validation, parameters):
    reached = [{"seconds": 0.5, "validation_accuracy": accuracy} for accuracy in validation[:1]]
    result = golden_result(time_to_score=reached, seconds={"head": 1.0}, images={"validation": 100, "test": 100})
    results = (result,) * len(validation)
    return Row(name, (pathlib.Path(name),), np.array(validation), None, np.array([1.0]), parameters, results)


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ([a_row("all", [0.5], 1000), a_row("none", [0.5], 10)], "none"),  # equally good: what trains least
        ([a_row("none", [0.5], 10), a_row("all", [0.5], 1000)], "none"),
        ([a_row("none", [0.5], 10), a_row("all", [0.6], 1000)], "all"),  # better: whatever it trains
        ([a_row("none", [0.1, 0.9], 10), a_row("all", [0.6, 0.6], 1000)], "all"),  # the mean, not the best seed
    ],
)
def test_the_best_on_validation_is_chosen_and_of_equals_the_one_that_trains_least(rows, chosen):
    found = best(rows)
    assert found.name == chosen
    assert f"chosen by validation accuracy: {chosen} ({found.validation.mean():.3f})" in describe(
        Sweep(tuple(rows), found)
    )


def test_the_sweep_chooses_so(swept):
    assert swept[1].chosen.workdirs == best(swept[1].rows).workdirs


@pytest.mark.slow
def test_a_sweep_killed_in_the_middle_ends_as_one_that_was_not(swept, config_of, tmp_path):
    workdir, _ = swept
    config = config_of()
    flags = [f"--workdir={tmp_path / 'killed'}", "--export=none", f"--unfreeze={','.join(CUTS)}"]
    flags += [f"--data={config.data.source}", f"--backbone={config.model.backbone}", "--learning_rate=0.01"]
    flags += ["--epochs=4", "--config.training.head_epochs=4"]
    process = start_command("sweep", *flags)
    while not (tmp_path / "killed" / "layers_6" / "seed_0" / "result.json").exists():
        assert process.is_alive()
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert run_command("sweep", *flags).returncode == 0
    for run in ("none", "layers_3", "layers_6"):
        whole, killed = (
            json.loads((path / run / "seed_0" / "result.json").read_text()) for path in (workdir, tmp_path / "killed")
        )
        assert killed["validation_accuracy"] == whole["validation_accuracy"]
        assert killed["hashes"] == whole["hashes"]


@pytest.mark.long
def test_folds_choose_by_what_no_run_has_seen(small_teacher, tmp_path):
    """Every run trains on all labelled images in the end, so that there is none left to judge an average of them."""
    random, labels = np.random.default_rng(0), np.arange(60) % 2
    pixels = random.normal(80 + 90 * labels[:, None, None, None], 40, (60, 16, 16, 3)).clip(0, 255).astype(np.uint8)
    np.savez(tmp_path / "images.npz", x_train=pixels, y_train=labels)
    config = TransferConfig(export="none")
    config.data.source, config.model.backbone = f"npz:{tmp_path / 'images.npz'}", str(small_teacher)
    config.training.epochs = 8
    found = sweep(config, tmp_path / "sweep", unfreeze=["none"], learning_rates=[1e-5, 1e-2], folds=2)
    assert found.soup is None and found.chosen.name == "none at 0.01"
    assert [row.results[0].folds["number"] for row in found.rows] == [2, 2]
    assert "out-of-fold accuracy" in describe(found) and len(list(tmp_path.glob("sweep/*/seed_0/folds/fold_*"))) == 4
