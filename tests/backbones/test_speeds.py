"""Tests of tl_keras.backbones.speeds, and of the table that shows them."""

import pytest
from forked_commands import call_of_command

from tl_keras.backbones import speeds
from tl_keras.backbones.speeds import known_speeds, machine, remember_speed
from tl_keras.experiments import timing


def test_what_was_measured_here_is_remembered_beside_other_machines(tmp_path, monkeypatch):
    assert known_speeds(tmp_path / "new") == {}
    remember_speed(tmp_path / "new", "MobileNetV2", 123.4)
    with monkeypatch.context() as patch:
        patch.setattr(speeds, "machine", lambda: "another")
        assert known_speeds(tmp_path / "new") == {}
        remember_speed(tmp_path / "new", "MobileNetV2", 1.0)
    remember_speed(tmp_path / "new", "VGG16", 5.0)
    assert known_speeds(tmp_path / "new") == {"MobileNetV2": 123.4, "VGG16": 5.0}
    assert "cores" in machine()


def test_a_damaged_file_is_measured_again(tmp_path):
    (tmp_path / "speeds.json").write_text("{")
    assert known_speeds(tmp_path) == {}


def test_the_table_shows_them_where_they_are_known():
    text = call_of_command("backbones.__main__", "listed", "name", {"MobileNetV2": 123.4})
    rows = {line.split()[0]: line for line in text.splitlines()}
    assert "images/s" in rows["name"]
    assert "123" in rows["MobileNetV2"]
    assert "images/s" not in call_of_command("backbones.__main__", "listed", "name", {})


@pytest.mark.long
def test_a_backbone_is_measured(monkeypatch):
    monkeypatch.setattr(timing, "_SECONDS_A_TURN", 0.001)
    assert timing.images_per_second("MobileNet") > 1
