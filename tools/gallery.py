"""Trains three runs on real images and takes pictures of their reports for docs/gallery.md: `make gallery`.

    TL_KERAS_TEST_DATA=../shared/data python tools/gallery.py --workdir=gallery

The images are not in the repository; a picture shows the first screen of a page, without any of them. A Chromium has to be there.
"""

from __future__ import annotations

import argparse
import io
import os
import pathlib
import shutil
import subprocess
import sys

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "images"

WIDTH, HEIGHT, SHOWN_WIDTH = 1280, 860, 800
COLOURS = 64  # of the PNG: text and plain areas

# For each picture, where the images are and the options of its run.
RUNS = {
    "flowers": ("data/flowers5", "--method=fine_tune", "--unfreeze=blocks:2", "--epochs=6", "--export=saved_model"),
    "boards": ("csv:data/deep_pcb/labels.csv", "--task=multi_label", "--method=feature_extraction", "--export=none"),
    "cells": (
        "csv:data/blood_cells/counts.csv",
        "--task=regression",
        "--columns=label=red_cells",
        "--method=feature_extraction",
        "--export=none",
    ),
}


def train(name: str, data: pathlib.Path, workdir: pathlib.Path) -> pathlib.Path:
    """Trains one run, unless it is finished, and returns its page, which names the images as data/NAME."""
    if not (workdir / "data").exists():
        (workdir / "data").symlink_to(data)
    source, *options = RUNS[name]
    command = [sys.executable, "-m", "tl_keras.train", f"--data={source}", f"--workdir={name}"]
    subprocess.run([*command, *options], cwd=workdir, check=True)
    return workdir / name / "report.html"


def take(page: pathlib.Path, picture: pathlib.Path, *, dark: bool) -> None:
    """Takes a picture of the first screen of a page."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark" if dark else "light")
        opened.goto(page.resolve().as_uri())
        taken = Image.open(io.BytesIO(opened.screenshot()))
        browser.close()
    small = taken.resize((SHOWN_WIDTH, HEIGHT * SHOWN_WIDTH // WIDTH), Image.Resampling.LANCZOS)
    small.convert("RGB").quantize(COLOURS).save(picture, optimize=True)


def main() -> None:
    """Makes every picture, and prints its size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=pathlib.Path, default=pathlib.Path("gallery"))
    workdir = parser.parse_args().workdir
    data = pathlib.Path(os.environ.get("TL_KERAS_TEST_DATA") or ROOT.parent / "shared" / "data").resolve()
    if not data.is_dir():
        sys.exit(
            f"error: expected TL_KERAS_TEST_DATA=FOLDER with flowers5/, deep_pcb/ and blood_cells/. Received: {data}."
        )
    os.environ.setdefault("KERAS_HOME", str(data / "keras_home"))
    workdir.mkdir(exist_ok=True)
    for name in RUNS:
        picture = PICTURES / f"report_{name}.png"
        take(train(name, data, workdir), picture, dark=name == "boards")
        print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size // 1000} KB")


if __name__ == "__main__":
    main()
