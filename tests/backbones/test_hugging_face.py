"""Tests of tl_keras.backbones.hugging_face, against a local stand-in of the Hub's HTTP interface."""

import json
import pathlib
import subprocess
import sys

import hub_stand_in
import pytest
from forked_commands import run_command
from PIL import Image

from tl_keras.backbones.hugging_face import as_pinned, parse_repository
from tl_keras.errors import ConfigError

PINNED = f"hf://me/student@{hub_stand_in.COMMIT}"


@pytest.fixture
def hub():
    with hub_stand_in.hub() as server:
        yield server


def said(hub, home, code, *arguments):
    """Returns the last line that a process says for which the stand-in is the Hub."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=hub_stand_in.environment(hub, home),
        check=False,
    )
    return (done.stdout or done.stderr).strip().splitlines()[-1]


FETCH = """import sys
from tl_keras.backbones.hugging_face import fetch_teacher
print(fetch_teacher(sys.argv[1]), "tensorflow" in sys.modules)"""


def test_a_file_is_downloaded_once_and_its_commit_is_not_asked_for_again(hub, tmp_path):
    hub.files |= {"model.keras": b"a network", "README.md": b"a card", "model.preprocess.json": b"{}"}
    path, _, loaded = said(hub, tmp_path, FETCH, "hf://me/student").rpartition(" ")
    assert loaded == "False" and path.endswith(f"/snapshots/{hub_stand_in.COMMIT}/model.keras")
    assert not any("README" in each for each in hub.asked)
    assert pathlib.Path(path).read_bytes() == b"a network"
    hub.asked.clear()
    assert said(hub, tmp_path, FETCH, PINNED) == f"{path} False" and hub.asked == []


@pytest.mark.parametrize(
    ("address", "files", "says"),
    [
        ("hf://me/none", {}, "expected the repository me/none on the Hub. Received: 404"),
        (
            "hf://me/student",
            {"README.md": b""},
            "expected hf://me/student to hold model.keras, or one other .keras file. Received: none",
        ),
        ("hf://me/student", {"a.keras": b"", "b.keras": b""}, "Received: a.keras, b.keras"),
    ],
)
def test_what_is_no_teacher_is_refused_in_one_line(hub, tmp_path, address, files, says):
    hub.files |= files
    last = said(hub, tmp_path, FETCH, address)
    assert last.startswith("tl_keras.errors.BackboneError: backbone: ") and says in last


@pytest.mark.long
def test_a_run_is_trained_on_the_student_of_a_repository_and_says_which_commit(
    hub, tmp_path, small_teacher, monkeypatch
):
    hub.files["model.keras"] = small_teacher.read_bytes()
    hub.files["model.preprocess.json"] = small_teacher.with_suffix(".preprocess.json").read_bytes()
    for number in range(30):
        path = tmp_path / "photos" / ("dark" if number % 2 else "light") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (8 * number, 255 * (number % 2), 9)).save(path)
    options = ["--backbone=hf://me/student", f"--data={tmp_path / 'photos'}", "--epochs=1"]
    options += [f"--workdir={tmp_path / 'run'}", "--method=feature_extraction", "--export=none", "--noreport"]
    for name, value in hub_stand_in.environment(hub, tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    done = run_command("train", *options)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "config.json").read_text())["config"]["model"]["backbone"] == PINNED
    assert "teacher student with weights from" in done.stderr


@pytest.mark.parametrize(
    "address", ["hf://student", "hf://me/student/more", "hf://me/student@", "https://huggingface.co/me"]
)
def test_an_address_of_another_kind_is_no_teacher(address):
    assert parse_repository("hf://me/student@v1", option="backbone") == ("me/student", "v1")
    with pytest.raises(ConfigError, match="backbone: expected hf://USER/NAME"):
        parse_repository(address, option="backbone")


def test_a_run_goes_on_with_the_commit_that_it_has_begun_with():
    assert as_pinned("hf://me/student", PINNED) == PINNED
    for other in ("hf://me/other", "hf://me/student@main", "MobileNetV2"):
        assert as_pinned(other, PINNED) == other
    assert as_pinned("MobileNetV2", "ResNet50") == "MobileNetV2"
