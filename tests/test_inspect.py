"""Tests of tl_keras.inspect, the command; what it finds is in `tests/advice/test_data_report.py`."""

import json
import shlex

import numpy as np
import pytest
from forked_commands import run_command
from PIL import Image


def test_without_data_it_says_so():
    process = run_command("inspect")
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith("error: flags: expected --data=SOURCE")
    assert "Traceback" not in process.stderr


def test_to_serve_the_page_it_needs_a_directory():
    process = run_command("inspect", "--data=photos/", "--serve")
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith("error: serve: expected --out=DIRECTORY")


@pytest.mark.long
def test_it_leaves_a_page_json_and_splits(tmp_path):
    random = np.random.default_rng(0)
    for label in ("cat", "dog"):
        for i in range(12):
            path = tmp_path / "photos" / label / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (40, 40, 3), np.uint8)).save(path)
    (tmp_path / "photos" / "cat" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    process = run_command(
        "inspect",
        f"--data={tmp_path / 'photos'}",
        f"--out={tmp_path / 'report'}",
        f"--write_splits={tmp_path / 'my clean.csv'}",
        "--task=ordinal",
        "--class_order=dog,cat",
        "--teacher=MobileNetV2:embedded",
    )
    assert process.returncode == 0, process.stderr
    assert "cat/0.png" in process.stdout
    command = process.stdout.splitlines()[-1].partition("; ")[2]
    assert shlex.split(command)[3:] == [
        f"--data=csv:{tmp_path / 'my clean.csv'}",
        "--task=ordinal",
        "--columns=label=label",
        "--class_order=dog,cat",
    ]
    values = json.loads((tmp_path / "report" / "inspection.json").read_text())
    assert values["problems"][0]["cases"] == [{"images": ["cat/0.png"], "remark": ""}]
    assert "cat/<wbr>0.png" in (tmp_path / "report" / "inspection.html").read_text()
    assert len((tmp_path / "my clean.csv").read_text().splitlines()) == 24


@pytest.mark.slow
def test_the_table_of_groups_is_named_where_it_lies(tmp_path):
    random = np.random.default_rng(0)
    for scene in range(50):
        blocks = random.integers(0, 256, (4, 4, 3)).repeat(16, axis=0).repeat(16, axis=1)
        for _ in range(6):
            path = tmp_path / "photos" / ("cat" if scene % 2 else "dog") / f"{random.integers(2**40):x}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            noisy = np.clip(blocks + random.normal(0, 2, (64, 64, 3)), 0, 255)
            Image.fromarray(noisy.astype(np.uint8)).save(path)
    table = tmp_path / "my report" / "groups.csv"
    process = run_command(
        "inspect", f"--data={tmp_path / 'photos'}", f"--out={table.parent}", "--teacher=MobileNetV2:embedded"
    )
    assert process.returncode == 0, process.stderr
    assert f"is too high: train with --data='csv:{table}'\n" in process.stdout
    values = json.loads((table.parent / "inspection.json").read_text())
    assert values["groups"]["says"].endswith(f"train with --data='csv:{table}'")
    assert len(table.read_text().splitlines()) == 301
