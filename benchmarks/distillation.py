"""A small student learns from a large run, and is shrunk: MobileNetV2 0.35 at 128 pixels from EfficientNet-Lite2 at 260.

    python -m benchmarks.distillation FOLDER [--sets=flowers,objects] [--labelled=20] [--seeds=3]
    python -m benchmarks.table                                        writes the tables into docs/small_models.md

Of each set the first images of each class keep their labels, and the others lose them. The teacher run trains a head on those with
labels; the student is fine-tuned by the defaults alone, alone for as many epochs as a teacher run gets, with the answers of the
teacher run, and with its answers for the images without labels too. Of the first seed, teacher run and distilled student are then
exported to every format whose runtime is installed, and asked for the test images (`python -m tl_keras.shrink`). FOLDER gets data
and runs; a finished run is not trained again, and benchmarks/results/small/small.json is written after each.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import sys
from typing import Any

from benchmarks.measuring import TEST_DATA, machine
from benchmarks.sets import write_set

RESULTS = pathlib.Path(__file__).parent / "results" / "small" / "small.json"
VARIANTS = ("alone", "alone, as many epochs", "distilled", "distilled, unlabelled too")


def parted(name: str, folder: pathlib.Path, labelled: int) -> tuple[pathlib.Path, pathlib.Path]:
    """Returns the folders of a set with few labels, and of the images that have lost theirs."""
    kept, lost = folder / f"{name}_{labelled}", folder / f"{name}_{labelled}_unlabelled"
    if kept.is_dir() and lost.is_dir():
        return kept, lost
    whole = write_set(name, folder)
    lost.mkdir()
    for group in sorted(whole.glob("*/*")):
        split, label = group.parts[-2:]
        (kept / split / label).mkdir(parents=True)
        images = sorted(group.iterdir())
        few = labelled if split == "train" else len(images)
        for position, image in enumerate(images):
            shutil.copy(image, kept / split / label if position < few else lost)
    return kept, lost


def measure(name: str, folder: pathlib.Path, *, labelled: int, seed: int, found: dict[str, Any]) -> None:
    """Adds to `found` the test accuracy of the teacher run and of each variant of the student, as each is finished."""
    from tl_keras import TransferConfig
    from tl_keras.config import resolve, with_epochs
    from tl_keras.config.defaults import PATIENCE_WITH_TEACHER_RUN
    from tl_keras.training.loop import train_and_evaluate
    from tl_keras.training.model_cache import ModelCache

    photos, unlabelled = parted(name, folder, labelled)

    def a_config() -> TransferConfig:
        config = TransferConfig(export="none", seed=seed)
        config.training.refit = "off"  # what learns from a teacher run does not begin again on all images
        config.data.source, config.cache.folder = str(photos), str(folder / "cache")
        return config

    row = found["runs"].setdefault(f"{name} {labelled} {seed}", {"set": name, "labelled": labelled, "seed": seed})
    big, models = folder / f"{name}_{labelled}_{seed}_teacher", ModelCache()
    config = a_config()
    config.model.backbone, config.model.method = "EfficientNetLite2", "feature_extraction"
    result = train_and_evaluate(config, big)
    row |= {"teacher run": result.test_accuracy, "images": result.images}
    save(found)
    for variant in VARIANTS:
        student = a_config()
        student.model.backbone, student.model.alpha, student.model.image_size = "MobileNetV2", 0.35, 128
        if variant == "alone, as many epochs":  # as with a teacher run
            usual = with_epochs(resolve(student), images=row["images"]["train"]).training.epochs
            student.training.epochs = PATIENCE_WITH_TEACHER_RUN * usual
        if "distilled" in variant:
            student.distillation.teacher_run = str(big)
        if "unlabelled" in variant:
            student.distillation.unlabelled = str(unlabelled)
        result = train_and_evaluate(student, _workdir(folder, row, variant), models=models)
        row |= {variant: result.test_accuracy}
        row.setdefault("seconds", {})[variant] = sum(result.seconds.values())
        save(found)
        print(row, file=sys.stderr, flush=True)


def shrunk(folder: pathlib.Path, row: dict[str, Any], found: dict[str, Any]) -> None:
    """Adds to `found` the formats of the teacher run and of the distilled student of a set, measured in their runtimes."""
    from tl_keras.experiments.shrinking import formats_at_hand, shrink

    big = folder / f"{row['set']}_{row['labelled']}_{row['seed']}_teacher"
    for name, workdir in (("teacher run", big), ("distilled", _workdir(folder, row, "distilled"))):
        key = f"{row['set']} {row['labelled']}: {name}"
        if key not in found["shrunk"]:
            found["shrunk"][key] = dataclasses.asdict(shrink(workdir, formats_at_hand()))
            save(found)
            print(key, found["shrunk"][key], file=sys.stderr, flush=True)


def _workdir(folder: pathlib.Path, row: dict[str, Any], variant: str) -> pathlib.Path:
    name = variant.replace(", ", "_").replace(" ", "_")
    return folder / f"{row['set']}_{row['labelled']}_{row['seed']}_{name}"


def save(found: dict[str, Any]) -> None:
    """Writes the results."""
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Runs what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--sets", default="flowers,objects")
    parser.add_argument("--labelled", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    os.environ["KERAS_HOME"] = str(TEST_DATA / "keras_home")
    from tl_keras.command_line import require_tensorflow

    require_tensorflow()
    found = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"machine": machine(), "runs": {}, "shrunk": {}}
    for seed in range(options.seeds):
        for name in options.sets.split(","):
            measure(name, options.folder, labelled=options.labelled, seed=seed, found=found)
            if seed == 0:
                shrunk(options.folder, found["runs"][f"{name} {options.labelled} {seed}"], found)


if __name__ == "__main__":
    main(sys.argv[1:])
