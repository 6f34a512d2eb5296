"""Tests of tl_keras.serving.monitoring and the monitor command."""

import json

import numpy as np
import pytest
import tensorflow as tf
from forked_commands import run_command

from tl_keras.serving.model_file import load_model
from tl_keras.serving.monitoring import Watch, check_features, check_labels, check_outliers, verdict


@pytest.fixture(scope="module")
def statistics(run):
    return load_model(run.model).statistics


@pytest.mark.parametrize(("outliers", "changed"), [(5, False), (40, True)])
def test_more_outliers_than_validation_had_are_a_change(outliers, changed):
    scores = np.r_[np.full(outliers, 1.5), np.full(100 - outliers, 0.5)]
    assert check_outliers(scores).changed is changed


def test_a_few_images_prove_nothing():
    assert not check_outliers(np.array([1.5, 0.5])).changed


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
    heard = [watch.add("ab"[i % 2], outlier) for i in range(2000)]
    assert [i for i, line in enumerate(heard) if line] == [999, 1999]
    assert f"; {says}" in heard[-1]


@pytest.mark.parametrize(("noise", "status", "says"), [(False, 0, "keep"), (True, 3, "retrain")])
def test_the_command_says_when_to_retrain(run, source, tmp_path, noise, status, says):
    random = np.random.default_rng(0)
    for index in range(40):
        pixels = tf.constant(random.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        file = tf.io.encode_png(pixels).numpy() if noise else source.encoded_image(index * 3)
        (tmp_path / f"{index}.png").write_bytes(file)
    done = run_command("monitor", f"--reference={run.path}", f"--data={tmp_path}", "--json")
    assert done.returncode == status, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["images"] == 40
    assert report["verdict"].startswith(says)
