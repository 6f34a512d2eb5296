"""Tests of tl_keras.advice.advisor and what it is made of: real advice on scikit-learn's digits."""

import copy
import json
import shlex

import pytest
from forked_commands import FORKED

from tl_keras.advice.advisor import advise, describe
from tl_keras.advice.candidates import Candidate, parse_candidate
from tl_keras.advice.recommendation import recommend
from tl_keras.advice.teacher_scores import draw_sample
from tl_keras.config import flatten, quick_start, to_json
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache

EMBEDDED = Candidate("MobileNetV2", "embedded")


@pytest.fixture(scope="module")
def advice(settings):
    return advise(settings, [EMBEDDED], measure_time=False)


@pytest.mark.long
def test_no_validation_or_test_image_is_looked_at(advice):
    assert advice.images == 100


@pytest.mark.long
def test_training_reads_the_features_that_the_advice_computed(advice, settings, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("tl_keras.console._details_shown", True)
    config = copy.deepcopy(settings)
    config.model.method, config.training.epochs, config.export = "feature_extraction", 2, "none"
    result = train_and_evaluate(config, tmp_path / "run")
    held_out = result.images["validation"] + result.images["test"]
    assert f"frozen layers: {held_out:,} images, " in capfd.readouterr().err


# What `train` makes of a command line, as JSON: its flags are of the process, so it is one of its own.
READ_BACK = """
import json, sys
sys.argv = ["train", *arguments]
from absl import flags
from tl_keras import run_flags, train
from tl_keras.config import to_json
run_flags.prepare_arguments()
flags.FLAGS(sys.argv)
with open(file, "w") as written:
    json.dump(to_json(run_flags.config_from(train._CONFIG)), written)
"""


def test_the_command_trains_what_was_looked_at_field_by_field(advice, settings, tmp_path):
    asked = copy.deepcopy(settings)
    asked.seed, asked.model.resize, asked.data.data_dir, asked.export = 7, "pad", "some place", "none"
    option = advice.recommendation.option
    recommended = recommend(option, advice.options, asked, draw_sample(settings, ModelCache()))
    python, dash_m, module, *flags = shlex.split(recommended.command)
    assert (python, dash_m, module) == ("python", "-m", "tl_keras.train")
    with FORKED.Pool(1) as pool:
        pool.apply(exec, (READ_BACK, {"arguments": flags, "file": tmp_path / "config.json"}))
    trained = flatten(json.loads((tmp_path / "config.json").read_text()))
    assert trained == flatten(to_json(recommended.config))
    for field in ("seed", "cache.folder", "data.validation_fraction", "data.test_fraction", "data.horizontal_flip"):
        assert trained[field] == flatten(to_json(asked))[field]


def test_every_choice_has_a_reason_in_the_report(advice):
    text = describe(advice)
    for choice in ("teacher", "method", "learning rate", "epochs", "augmentation", "image size", "class weights"):
        assert f"- {choice}" in text
    assert text.endswith(advice.recommendation.command)
    json.dumps(advice.to_json())


@pytest.mark.slow
def test_of_options_that_all_take_too_long_the_shortest_seen_is_recommended():
    advice = advise(quick_start(), [EMBEDDED, parse_candidate("MobileNetV2:none:0.35")], budget_seconds=1)
    assert [candidate.name for candidate in advice.skipped] == ["MobileNetV2:none:0.35"]
    assert advice.time.seconds > 1
    assert all(seconds >= advice.time.seconds for _, seconds in advice.too_long)
