"""Tests of tl_keras.serving.monitoring and the monitor command."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from forked_commands import run_command

from tl_keras.errors import DataError
from tl_keras.serving.model_file import load_model
from tl_keras.serving.monitoring import (
    Check,
    Watch,
    check_features,
    check_labels,
    check_outliers,
    compare_images,
    verdict,
)


@pytest.fixture(scope="module")
def statistics(run):
    return load_model(run.model).statistics


@pytest.mark.parametrize(("outliers", "changed"), [(5, False), (40, True)])
def test_more_outliers_than_validation_had_are_a_change(outliers, changed):
    scores = np.r_[np.full(outliers, 1.5), np.full(100 - outliers, 0.5)]
    assert check_outliers(scores).changed is changed


def test_a_few_images_prove_nothing():
    assert not check_outliers(np.array([1.5, 0.5])).changed


# (value, limit, p-value) of outlier rate, drift and label change, what is said of each, and of all.
VERDICTS = {
    "nothing": ([(0.05, 0.1, 0.5), (0.1, 0.2, 0.3), (0.1, 0.15, 0.4)], "same same same", "keep"),
    "the issue's": ([(0.05, 0.1, 0.5), (0.238, 0.2, 0.3), (0.222, 0.15, 0.2)], "same undecided undecided", "undecided"),
    "small and certain": ([(0.06, 0.1, 1e-9), (0.1, 0.2, 1e-9), (0.1, 0.15, 1e-9)], "same same same", "keep"),
    "labels": ([(0.05, 0.1, 0.5), (0.25, 0.2, 0.3), (0.3, 0.15, 1e-4)], "same undecided changed", "look"),
    "features": ([(0.05, 0.1, 0.5), (0.25, 0.2, 1e-4), (0.1, 0.15, 0.4)], "same changed same", "retrain"),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_every_line_says_by_which_rule_and_the_verdict_follows_from_the_lines(name):
    values, states, says = VERDICTS[name]
    checks = [Check(n, *v) for n, v in zip(("outlier_rate", "feature_drift", "label_change"), values, strict=True)]
    assert [check.state for check in checks] == states.split()
    assert verdict(checks).startswith(says)
    assert verdict(checks).startswith("keep") == all("within the limit" in check.describe() for check in checks)


def test_images_may_be_as_large_as_in_training(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    begun = json.loads((tmp_path / "run" / "config.json").read_text())
    begun["config"]["data"]["max_pixels"] = 1
    (tmp_path / "run" / "config.json").write_text(json.dumps(begun))
    with pytest.raises(DataError, match="too large"):
        compare_images(tmp_path / "run", run.path / "images")


def test_shifted_features_are_a_change_and_the_known_ones_are_not(statistics):
    assert not check_features(statistics, statistics.reference).changed
    assert check_features(statistics, statistics.reference + 10 * statistics.reference.std()).changed


def test_other_label_shares_are_a_change_to_look_at(statistics):
    known = statistics.predicted_counts
    assert not check_labels(known, known).changed
    one_class_only = np.eye(3, dtype=np.int64)[known.argmin()] * 100
    check = check_labels(known, one_class_only)
    assert check.changed
    assert verdict([check]).startswith("look")


@pytest.mark.parametrize(("outlier", "says"), [(0.5, "keep"), (1.5, "retrain")])
def test_a_server_hears_of_every_thousand_answers(outlier, says):
    watch = Watch(("a", "b"), np.array([50, 50]))
    heard = [watch.add(["ab"[i % 2]], outlier) for i in range(2000)]
    assert [i for i, line in enumerate(heard) if line] == [999, 1999]
    assert f"; {says}" in heard[-1]


def test_a_server_of_texts_hears_of_texts():
    watch = Watch(("a", "b"), np.array([50, 50]), "text")
    line = [watch.add(["a"], 1.5) for _ in range(1000)][-1]
    assert line.startswith("the last 1000 texts: ") and "label some of these texts" in line
    assert "image" not in line and "so few texts" in Check("label_change", 0.3, 0.15, 0.2).describe("text")


@pytest.mark.parametrize(
    ("noise", "status", "says"), [pytest.param(False, 0, "undecided", marks=pytest.mark.slow), (True, 3, "retrain")]
)
def test_the_command_says_when_to_retrain(run, source, tmp_path, noise, status, says):
    random = np.random.default_rng(0)
    for index in range(40):
        pixels = tf.constant(random.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        file = tf.io.encode_png(pixels).numpy() if noise else source.encoded_image(index * 3)
        (tmp_path / f"{index}.png").write_bytes(file)
    (tmp_path / "bare.png").write_bytes(b"\xff\x0a")
    (tmp_path / "damaged.png").write_text("no image")
    done = run_command("monitor", f"--reference={run.path}", f"--data={tmp_path}", "--json")
    assert done.returncode == status, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert (report["images"], report["undecodable"]) == (40, 2)
    assert report["left_out"] == [
        f"1 image cannot be decoded and is left out: {tmp_path}/damaged.png",
        f"1 image is in JPEG XL, which is to be saved as PNG first, and is left out: {tmp_path}/bare.png",
    ]
    assert report["verdict"].startswith(says)
