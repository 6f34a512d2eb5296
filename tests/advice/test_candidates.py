"""Tests of tl_keras.advice.candidates."""

import pytest

from tl_keras.advice.candidates import Candidate, candidates_at_hand, parse_candidate
from tl_keras.errors import ConfigError


@pytest.mark.parametrize("text", ["MobileNetV2", "MobileNet:0.25", "MobileNetV2:embedded", "MobileNet:none:0.5"])
def test_a_name_is_read_as_it_is_written(text):
    assert parse_candidate(text).name == text


def test_flags_choose_the_teacher():
    assert parse_candidate("MobileNet:0.25").flags() == ["--backbone=MobileNet", "--alpha=0.25"]
    assert parse_candidate("MobileNetV2:embedded").flags() == ["--backbone=MobileNetV2", "--weights=embedded"]


@pytest.mark.parametrize("text", ["", ":imagenet", "A:b:c:0.5"])
def test_what_is_no_candidate_is_refused(text):
    with pytest.raises(ConfigError, match="BACKBONE"):
        parse_candidate(text)


def test_the_embedded_teacher_is_always_here(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert candidates_at_hand() == (Candidate("MobileNetV2", "embedded"),)


def test_downloaded_teachers_are_here_the_cheapest_first(shared_data):
    assert [c.name for c in candidates_at_hand()] == ["MobileNetV2:embedded", "MobileNet:0.25", "MobileNetV2"]
