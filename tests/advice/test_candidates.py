"""Tests of tl_keras.advice.candidates."""

import pytest

from tl_keras.advice.candidates import Candidate, candidates_at_hand, parse_candidate
from tl_keras.config import ModelConfig
from tl_keras.errors import ConfigError


@pytest.mark.parametrize(
    "text",
    ["MobileNetV2", "MobileNet:0.25", "MobileNetV2:embedded", "MobileNet:none:0.5", "hf://me/a", "hf://me/a:none"],
)
def test_a_name_is_read_as_it_is_written(text):
    assert parse_candidate(text).name == text


def test_a_candidate_takes_the_place_of_the_teacher_of_a_config():
    config = ModelConfig(backbone="ResNet50", weights="none", method="feature_extraction")
    chosen = parse_candidate("MobileNet:0.25").choose(config)
    assert chosen == ModelConfig(backbone="MobileNet", alpha=0.25, method="feature_extraction")


@pytest.mark.parametrize(
    ("text", "published"),
    [("MobileNetV2", 0.713), ("MobileNetV2:0.35", 0.603), ("MobileNetV2:embedded", 0), ("teacher.keras", 0)],
)
def test_what_is_published_is_of_these_weights_and_this_width(text, published):
    assert parse_candidate(text).published_top1 == published


@pytest.mark.parametrize("text", ["", ":imagenet", "A:b:c:0.5"])
def test_what_is_no_candidate_is_refused(text):
    with pytest.raises(ConfigError, match="BACKBONE"):
        parse_candidate(text)


def test_the_embedded_teacher_is_always_here(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # no package with weights is installed
    assert candidates_at_hand() == (Candidate("MobileNetV2", "embedded"),)


def test_teachers_of_installed_packages_are_here(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name.startswith("efficientnet_lite0") or None)
    assert [each.name for each in candidates_at_hand()] == ["MobileNetV2:embedded", "EfficientNetLite0"]


def test_downloaded_teachers_are_here_the_default_one_first_then_the_cheapest(shared_data):
    names = [candidate.name for candidate in candidates_at_hand() if "Lite" not in candidate.name]
    assert names == ["MobileNetV2", "MobileNetV2:embedded", "MobileNetV2:0.35", "MobileNet:0.25", "MobileNet:0.5"]
