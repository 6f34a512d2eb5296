"""Tests of tl_keras.experiments.shrinking and the shrink command, in the real runtimes."""

import dataclasses

import numpy as np
import pytest
from forked_commands import run_command

import tl_keras
from tl_keras.errors import ConfigError
from tl_keras.experiments import shrinking, timing
from tl_keras.experiments.folds import train_with_folds
from tl_keras.experiments.shrinking import ShrinkRow, Shrunk, describe, formats_at_hand, shrink
from tl_keras.reporting.run_report import write_report
from tl_keras.runs.directory import RunDirectory

FORMATS = ["litert", "litert_dynamic_int8", "litert_int8", "openvino"]


@pytest.fixture(scope="module")
def run(small_teacher, tmp_path_factory):
    """A run on noise of two colours, shrunk to four formats; its source, its directory and what was found."""
    for package in ("ai_edge_litert", "openvino"):
        pytest.importorskip(package)
    random, labels = np.random.default_rng(0), np.arange(60) % 2
    pixels = np.clip(random.normal(90 + 60 * labels[:, None, None, None], 60, (60, 16, 16, 3)), 0, 255).astype(np.uint8)
    source = tl_keras.ArraySource(pixels, labels)
    config = tl_keras.TransferConfig(export="none")
    config.model.backbone, config.model.method = str(small_teacher), "feature_extraction"
    config.training.epochs = 3
    workdir = tmp_path_factory.mktemp("shrunk") / "run"
    tl_keras.train_and_evaluate(config, workdir, source=source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "_SECONDS_A_TURN", 0.001)
        return source, workdir, shrink(workdir, FORMATS, max_loss=0.2, source=source)


@pytest.mark.long
def test_each_format_is_measured_on_the_images_of_the_run(run):
    _, workdir, found = run
    result = RunDirectory(workdir).require_result()
    assert [row.format for row in found.rows] == FORMATS
    assert (found.images, found.split) == (result.images["test"], "test")
    for row in found.rows:
        if "int8" not in row.format:  # the others are proven to agree
            assert (row.score, row.changed, row.loss, row.meets) == (result.score, 0, 0.0, True)
        assert row.milliseconds > 0
        assert (workdir / row.path).is_dir()
    assert found.smallest in [row.format for row in found.rows if row.meets]


def test_result_and_report_have_the_table(run):
    source, workdir, found = run
    assert RunDirectory(workdir).require_result().shrink == dataclasses.asdict(found) | {
        "rows": [dataclasses.asdict(row) for row in found.rows]
    }
    page = write_report(workdir, source=source).read_text()
    assert "Answers changed" in page
    assert page.count("litert_int8") >= 2


@pytest.mark.long
def test_where_folds_left_no_other_images_the_model_is_compared_with_itself(run, small_teacher, tmp_path):
    source, _, _ = run
    config = tl_keras.TransferConfig(export="none")
    config.model.backbone, config.model.method = str(small_teacher), "feature_extraction"
    config.training.epochs, config.data.test_fraction = 3, 0.0
    train_with_folds(config, tmp_path / "run", folds=2, source=source)
    found = shrink(tmp_path / "run", ["litert"], max_loss=0.2, source=source)
    assert (found.split, found.images) == ("training", 60)
    assert (found.rows[0].loss, found.rows[0].changed) == (0.0, 0)


@pytest.mark.long
def test_a_run_whose_test_images_were_not_measured_is_compared_with_itself_on_them(run, small_teacher, tmp_path):
    source, _, _ = run
    config = tl_keras.TransferConfig(export="none")
    config.model.backbone, config.model.method = str(small_teacher), "feature_extraction"
    config.training.epochs = 3
    tl_keras.train_and_evaluate(config, tmp_path / "run", source=source, measure_test=False)  # as a sweep does
    found = shrink(tmp_path / "run", ["litert"], max_loss=0.2, source=source)
    assert (found.split, found.rows[0].loss, found.rows[0].changed) == ("test", 0.0, 0)


ROW = ShrinkRow("litert", "litert/1", 4.0, 2.0, 0.90, 0, 0.0, True)
INT8 = ShrinkRow("litert_int8", "litert_int8/1", 1.0, 1.0, 0.80, 9, 0.1, False)


def test_what_loses_too_much_is_not_chosen_and_it_says_so():
    found = Shrunk("accuracy", 0.9, "test", 90, 0.01, (ROW, INT8), "litert", "litert")
    assert "litert_int8" in describe(found).splitlines()[2]
    assert describe(found).splitlines()[2].endswith("loses too much")
    assert describe(found).endswith("within 0.01: smallest litert (litert/1), fastest litert (litert/1)")
    none = dataclasses.replace(found, rows=(INT8,), smallest=None, fastest=None)
    assert describe(none).endswith("none loses at most 0.01")


def test_formats_without_their_packages_are_left_out(monkeypatch):
    monkeypatch.setattr(shrinking.importlib.util, "find_spec", lambda name: name == "openvino" or None)
    assert formats_at_hand() == ("openvino",)


def test_without_a_format_the_package_is_named(tmp_path):
    with pytest.raises(ConfigError, match="pip install"):
        shrink(tmp_path, [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "--workdir=RUN_DIRECTORY"), (["--workdir=x", "--formats=litert_int4"], "Did you mean litert_int8")],
)
def test_a_mistake_in_the_command_is_one_line(arguments, said):
    done = run_command("shrink", *arguments)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
