"""Tests of tl_keras.embed, the command; what it computes is in `tests/advice/test_image_index.py`."""

import json

import numpy as np
import pytest
from forked_commands import run_command
from PIL import Image


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data=."], "flags: expected --data=SOURCE and --out=FILE or --page=FILE"),
        (["--data=.", "--out=features.csv"], "out: expected a name that ends in .npz or .parquet"),
        (["--data=.", "--page=look.txt"], "page: expected a name that ends in .html"),
        (
            ["--data=.", "--out=f.npz", "--workdir=run1", "--backbone=MobileNetV2"],
            "flags: expected --workdir or --backbone",
        ),
        (["--data=.", "--out=f.npz", "--workdir=run1", "--image_size=64"], "flags: expected --workdir or --image_size"),
        (
            ["--data=.", "--out=f.npz", "--workdir=run1", "--significant_bits=12"],
            "flags: expected --workdir or --signif",
        ),
        (
            ["--data=.", "--out=/dev/null/f.npz"],
            "out: expected a directory. Received: /dev/null, but /dev/null is a file",
        ),
        (["--data=.", "--page=/dev/null/a.html"], "page: expected a directory. Received: /dev/null"),
        (["--data=no_folder", "--out=f.npz"], "no_folder"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments, said):
    process = run_command("embed", *arguments)
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith("error: ")
    assert said in process.stderr.splitlines()[-1]


@pytest.mark.slow
def test_an_unlabelled_folder_is_embedded_looked_at_and_searched(tmp_path, small_teacher):
    """The photo itself is nearest to itself, and the other one of its colour next."""
    for name, colour in (
        ("red1", (200, 30, 30)),
        ("red2", (180, 40, 20)),
        ("blue1", (20, 20, 210)),
        ("blue2", (30, 30, 190)),
    ):
        path = tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        noise = np.random.default_rng([*name.encode()]).normal(0, 4, (40, 40, 3))
        Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8)).save(path)
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no image")
    index, page = tmp_path / "features.npz", tmp_path / "look.html"
    data = [f"--data={tmp_path / 'photos'}", f"--backbone={small_teacher}"]
    process = run_command("embed", *data, f"--out={index}", f"--page={page}", "--clusters=2")
    assert process.returncode == 0, process.stderr
    assert "images: 1 image cannot be decoded and is left out: broken.jpg" in process.stderr.splitlines()
    assert f"wrote: {index}, features of 4 images by " in process.stdout and page.is_file()
    query = str(tmp_path / "photos" / "red2.png")
    process = run_command("similar", f"--query={query}", f"--index={index}", "--count=2", "--format=jsonl")
    assert process.returncode == 0, process.stderr
    (found,) = map(json.loads, process.stdout.splitlines())
    assert found["query"] == query
    assert [image["name"] for image in found["similar"]] == ["red2.png", "red1.png"]
    assert found["similar"][0]["cosine"] == pytest.approx(1, abs=1e-4) and found["similar"][0]["height"] == 40
