"""Tests of tl_keras.reporting.push, against a local stand-in of the Hub's HTTP interface, which keeps what it is sent."""

import shutil
import subprocess
import sys

import hub_stand_in
import pytest

from tl_keras.errors import ConfigError
from tl_keras.reporting.push import parse_target


@pytest.fixture
def hub():
    with hub_stand_in.hub() as server:
        yield server


def pushed(run, hub, *, token):
    """Returns a finished process that pushes a run."""
    code = "import sys; from tl_keras.reporting.push import push; print(push(*sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, run, "me/student"],
        capture_output=True,
        text=True,
        env=hub_stand_in.environment(hub, run, token=token),
        check=False,
    )


def test_the_hub_gets_model_card_and_settings_and_no_pictures(compared, hub, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(compared[0] / "long" / "seed_0", run)
    (run / "README.md").write_text("# a card\n")
    done = pushed(run, hub, token="a-token")
    assert done.returncode == 0, done.stderr
    assert hub.made == ["student"]
    assert set(hub.files) == {"README.md", "config.json", "labels.txt", "model.keras", "result.json"}
    assert hub.files["model.keras"] == (run / "model.keras").read_bytes()
    assert done.stdout.strip() == f"{hub.address}/me/student"


def test_a_refusal_is_one_line(compared, hub):
    done = pushed(compared[0] / "long" / "seed_0", hub, token="another")
    last = done.stderr.splitlines()[-1]
    assert "ExportError: push: expected the Hub to take me/student. Received: " in last and "401" in last


@pytest.mark.parametrize(
    "address",
    ["me/student", "hf://me/student@main", "hf://student", "hf://me/student/more", "https://huggingface.co/me"],
)
def test_an_address_of_another_kind_is_refused(address):
    assert parse_target("hf://me/student") == "me/student"
    with pytest.raises(ConfigError, match="expected hf://USER/NAME"):
        parse_target(address)
