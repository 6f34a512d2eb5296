"""Tests of tl_keras.advice.advisor and what it is made of: real advice on scikit-learn's digits."""

import copy
import dataclasses
import json
import shlex
import subprocess
import sys

import numpy as np
import pytest

from tl_keras.advice.advisor import advise, describe
from tl_keras.advice.automatic import with_advised_method
from tl_keras.advice.candidates import Candidate, parse_candidate
from tl_keras.advice.recommendation import options_of, ranked, recommend
from tl_keras.advice.teacher_scores import draw_sample, score_teacher
from tl_keras.advise import as_seconds
from tl_keras.config import flatten, quick_start, to_json
from tl_keras.errors import ConfigError
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache

EMBEDDED = Candidate("MobileNetV2", "embedded")


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """With a cache of its own: what other tests have computed is not in it."""
    config = quick_start()
    config.cache.folder = str(tmp_path_factory.mktemp("features"))
    return config


@pytest.fixture(scope="module")
def advice(settings):
    return advise(settings, [EMBEDDED], measure_time=False)


def test_a_probe_at_each_depth_tells_digits_apart(advice):
    (teacher_scores,) = advice.teacher_scores
    assert [depth.unfreeze for depth in teacher_scores.depths] == ["blocks:8", "blocks:4", "blocks:2", "none"]
    assert all(depth.probe.accuracy > 0.6 for depth in teacher_scores.depths)
    assert teacher_scores.last.pooled.shape == (100, 1280)


def test_a_depth_whose_features_training_would_not_keep_is_looked_at_too(settings, tmp_path, monkeypatch):
    monkeypatch.setattr("tl_keras.training.features._SLOW_DISK", 1.0)
    config = copy.deepcopy(settings)
    config.cache.folder = str(tmp_path / "features")
    assert len(score_teacher(EMBEDDED, config, draw_sample(config, ModelCache())).depths) == 4


def test_no_validation_or_test_image_is_looked_at(advice):
    assert advice.images == 100


def test_training_reads_the_features_that_the_advice_computed(advice, settings, tmp_path, capfd):
    config = copy.deepcopy(settings)
    config.model.method, config.training.epochs, config.export = "feature_extraction", 2, "none"
    result = train_and_evaluate(config, tmp_path / "run")
    held_out = result.images["validation"] + result.images["test"]
    assert f"frozen layers: {held_out:,} images, " in capfd.readouterr().err


# What `train` makes of a command line, as JSON: its flags are of the process, so it is one of its own.
READ_BACK = """
import json, sys
from absl import flags
from tl_keras import run_flags, train
from tl_keras.config import to_json
run_flags.prepare_arguments()
flags.FLAGS(sys.argv)
print(json.dumps(to_json(run_flags.config_from(train._CONFIG))))
"""


def test_the_command_trains_what_was_looked_at_field_by_field(advice, settings):
    asked = copy.deepcopy(settings)
    asked.seed, asked.model.resize, asked.data.data_dir, asked.export = 7, "pad", "some place", "none"
    option = advice.recommendation.option
    recommended = recommend(option, advice.options, asked, draw_sample(settings, ModelCache()))
    python, dash_m, module, *flags = shlex.split(recommended.command)
    assert (python, dash_m, module) == ("python", "-m", "tl_keras.train")
    read = subprocess.run([sys.executable, "-c", READ_BACK, *flags], capture_output=True, text=True, check=True)
    trained = flatten(json.loads(read.stdout))
    assert trained == flatten(to_json(recommended.config))
    for field in ("seed", "cache.folder", "data.validation_fraction", "data.test_fraction", "data.horizontal_flip"):
        assert trained[field] == flatten(to_json(asked))[field]


def test_a_teacher_whose_probe_is_all_but_perfect_is_not_fine_tuned(advice):
    (evidence,) = advice.teacher_scores
    depths = []
    for depth in evidence.depths:
        sure = np.eye(10)[depth.probe.labels]  # all right, and more so than any option with fine-tuning could promise
        depths.append(dataclasses.replace(depth, probe=dataclasses.replace(depth.probe, probabilities=sure)))
    sure_of_itself = dataclasses.replace(evidence, depths=tuple(depths))
    options = ranked([sure_of_itself])
    assert max(options, key=lambda option: option.accuracy).accuracy == 1
    assert options[0].method == "feature_extraction"
    assert ranked([evidence])[0].method == "fine_tune"


def test_every_choice_has_a_reason_in_the_report(advice):
    text = describe(advice)
    for choice in ("teacher", "method", "learning rate", "epochs", "augmentation", "image size", "class weights"):
        assert f"- {choice}" in text
    assert text.endswith(advice.recommendation.command)
    json.dumps(advice.to_json())


def test_the_interval_holds_the_estimate_and_stays_within_0_and_1(advice):
    for option in advice.options:
        low, high = option.interval
        assert 0 <= low < option.accuracy < high <= 1


def test_of_teachers_as_good_the_largest_with_imagenet_weights_is_chosen(advice):
    (teacher_scores,) = advice.teacher_scores
    imagenet = dataclasses.replace(teacher_scores, candidate=Candidate("Small"), parameters=1)
    larger = dataclasses.replace(teacher_scores, candidate=Candidate("Larger"), parameters=2)
    chosen = ranked([teacher_scores, larger, imagenet])[0]
    assert chosen.candidate.name == "Larger"
    assert chosen.accuracy == max(option.accuracy for option in advice.options)


def test_a_teacher_whose_probe_is_worse_is_not_chosen(advice):
    (teacher_scores,) = advice.teacher_scores
    depths = tuple(
        dataclasses.replace(depth, probe=dataclasses.replace(depth.probe, labels=np.roll(depth.probe.labels, 7)))
        for depth in teacher_scores.depths
    )
    worse = dataclasses.replace(teacher_scores, candidate=Candidate("Worse"), parameters=1, depths=depths)
    assert ranked([worse, teacher_scores])[0].candidate == EMBEDDED
    assert options_of(worse)[-1].accuracy < 0.5


def test_the_imagenet_teacher_says_what_it_takes_the_flowers_for(shared_data):
    config = quick_start()
    config.data = dataclasses.replace(config.data, source=str(shared_data / "flowers5"), train_examples_per_class=10)
    advice = advise(config, [parse_candidate("MobileNet:0.25")], measure_time=False)
    closeness = advice.teacher_scores[0].closeness
    assert closeness.seen["daisy"][0][0] == "daisy"
    assert closeness.leep < 0
    assert closeness.nce < 0


@pytest.mark.slow
def test_of_options_that_all_take_too_long_the_shortest_seen_is_recommended():
    advice = advise(quick_start(), [EMBEDDED, parse_candidate("MobileNetV2:none:0.35")], budget_seconds=1)
    assert [candidate.name for candidate in advice.skipped] == ["MobileNetV2:none:0.35"]
    assert advice.time.seconds > 1
    assert all(seconds >= advice.time.seconds for _, seconds in advice.too_long)


@pytest.mark.slow
def test_method_auto_decides_once(tmp_path):
    config = quick_start()
    config.model.method, config.export = "auto", "none"
    decided = with_advised_method(config, tmp_path / "run")
    assert decided.model.method in ("feature_extraction", "fine_tune")
    decided.training.epochs = decided.training.head_epochs = 1
    train_and_evaluate(decided, tmp_path / "run")
    config.training.epochs = config.training.head_epochs = 1
    assert with_advised_method(config, tmp_path / "run").model.method == decided.model.method
    assert train_and_evaluate(with_advised_method(config, tmp_path / "run"), tmp_path / "run").resumed


def test_method_auto_and_a_cut_contradict_each_other(tmp_path):
    config = quick_start()
    config.model.method, config.model.unfreeze = "auto", "blocks:2"
    with pytest.raises(ConfigError, match="auto chooses the cut"):
        with_advised_method(config, tmp_path)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10min", 600), ("1.5h", 5400)])
def test_a_budget_is_read(text, seconds):
    assert as_seconds(text) == seconds


@pytest.mark.parametrize("text", ["10", "0s", "ten minutes"])
def test_what_is_no_budget_is_refused(text):
    with pytest.raises(ConfigError, match="budget"):
        as_seconds(text)
