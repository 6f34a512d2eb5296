"""Tests of tl_keras.label_next, the command; the choice is tested in `tests/labels`."""

import json

import numpy as np
import pytest
from forked_commands import run_command
from PIL import Image


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "flags: expected --data=FOLDER"),
        (["--data=x", "--workdir=run1", "--backbone=MobileNetV2"], "backbone: expected none beside --workdir"),
        (["--data=x", "--workdir=run1", "--significant_bits=12"], "significant_bits: expected none beside --workdir"),
        (["--data=x", "--workdir=run1", "--weights=none"], "weights: expected none beside --workdir"),
    ],
)
def test_bad_flags_are_one_line(arguments, message, tmp_path, monkeypatch):
    process = run_command("label_next", *arguments)
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith(f"error: {message}")


@pytest.mark.long
def test_the_first_labels_of_a_flat_folder(small_teacher, tmp_path):
    random = np.random.default_rng(0)
    for number in range(20):
        tint = random.uniform(0, 255, 3)
        pixels = np.clip(random.normal(tint, 30, (40, 40, 3)), 0, 255).astype(np.uint8)
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    process = run_command(
        "label_next",
        f"--data={tmp_path / 'photos'}",
        f"--backbone={small_teacher}",
        "--count=5",
        "--classes=cat,dog",
        f"--out={tmp_path / 'out'}",
    )
    assert process.returncode == 0, process.stderr
    values = json.loads((tmp_path / "out" / "label_next.json").read_text())
    assert process.stdout.splitlines()[:5] == [case["image"] for case in values["chosen"]]
    assert "No forecast: there is no run yet." in process.stdout
    assert '"names": ["cat", "dog"]' in (tmp_path / "out" / "label_next.html").read_text()
