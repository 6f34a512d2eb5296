"""Several labels, numbers and grades against a plain Keras script, on the same images of the same splits.

    python -m benchmarks.other_tasks boards|cells|digits [--seeds=3] [--image_size=224] [--method=feature_extraction]
        [--backbone=MobileNetV2|EfficientNetLite0] [--out=FILE.json] [--flags="more flags of tl_keras.train"]

Boards: six kinds of defect on 300 printed boards, whole batches of boards in one split. Cells: red cells counted on 364
micrographs. Digits: scikit-learn's, 600 of them, as grades from 0 to 9. The script is what Keras's guide would write: a frozen
MobileNetV2, images squashed, a sigmoid, linear (on standardised numbers) or softmax head, 20 epochs of Adam at 1e-3, threshold
0.5. It gets our training and validation images together to train on; EfficientNet-Lite0 has 224 pixels there, whatever ours has.
Prints a line for each seed, and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measuring import TEST_DATA

EPOCHS = 20
SETS = {
    "boards": ("multi_label", TEST_DATA / "deep_pcb" / "labels.csv", "label=labels"),
    "cells": ("regression", TEST_DATA / "blood_cells" / "counts.csv", "label=red_cells"),
    "digits": ("ordinal", None, "label=grade"),
}


def write_digits(folder: pathlib.Path) -> pathlib.Path:
    """Writes 600 scanned digits with a table of them, and returns its path."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits, rows = load_digits(), ["path,grade"]
    for number in range(600):
        pixels = np.round(digits.images[number] * (255 / 16)).astype(np.uint8)
        Image.fromarray(pixels).resize((64, 64)).convert("RGB").save(folder / f"{number}.png")
        rows.append(f"{number}.png,{digits.target[number]}")
    table = folder / "digits.csv"
    table.write_text("\n".join(rows) + "\n")
    return table


def ours(
    name: str, table: pathlib.Path, workdir: pathlib.Path, seed: int, options: argparse.Namespace
) -> dict[str, float]:
    """Trains by the command, and returns its measures on the test images."""
    task, _, columns = SETS[name]
    command = [sys.executable, "-m", "tl_keras.train", f"--task={task}", f"--data=csv:{table}", f"--columns={columns}"]
    command += [f"--workdir={workdir}", f"--seed={seed}", f"--image_size={options.image_size}", "--export=none"]
    command += [
        f"--method={options.method}",
        f"--backbone={options.backbone}",
        "--noreport",
        "--config.data.test_fraction=0.3",
        *shlex.split(options.flags),
    ]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=not options.verbose, text=True)
    measures = json.loads((workdir / "result.json").read_text())["measures"]
    return {**figures(name, measures), "seconds": round(time.perf_counter() - began, 1)}


def figures(name: str, measures: dict) -> dict[str, float]:
    """Returns the figures of a set's measures that are compared."""
    if name == "boards":
        return {key: measures[key] for key in ("mean_average_precision", "f1")}
    if name == "digits":
        return {key: measures[key] for key in ("quadratic_weighted_kappa", "mean_absolute_error")}
    (column,) = measures["columns"]
    return {
        key: column[key] for key in ("r2", "mean_absolute_error", "median_baseline_error", "coverage", "half_width")
    }


def plain_backbone(name: str, image_size: int) -> tuple[Any, Callable[[np.ndarray], np.ndarray]]:
    """Returns a pre-trained network without its top, and its preprocessing of pixels from 0 to 255."""
    import keras

    if name == "EfficientNetLite0":  # which normalizes by itself
        return keras.models.load_model(TEST_DATA / "teachers" / "efficientnet_lite0.keras"), np.asarray
    shape = (image_size, image_size, 3)
    network = keras.applications.MobileNetV2(include_top=False, weights="imagenet", input_shape=shape)
    return network, keras.applications.mobilenet_v2.preprocess_input


def plain_keras(
    name: str, table: pathlib.Path, workdir: pathlib.Path, seed: int, *, image_size: int, backbone: str = "MobileNetV2"
) -> dict[str, float]:
    """Trains the plain script on the images of a run, and returns its measures on the run's test images."""
    import keras
    import tensorflow as tf

    from tl_keras.data.options import SourceOptions
    from tl_keras.data.sources import open_source
    from tl_keras.evaluation.average_precision import several_labels_metrics
    from tl_keras.evaluation.grades import quadratic_weighted_kappa

    keras.utils.set_random_seed(seed)
    task, _, columns = SETS[name]
    source = open_source(f"csv:{table}", SourceOptions(columns=columns, task=task))
    splits = json.loads((workdir / "splits.json").read_text())
    places = {image: index for index, image in enumerate(source.ids)}
    train, test = (
        [places[image] for split in parts for image in splits[split]] for parts in (("train", "validation"), ("test",))
    )

    base, preprocess = plain_backbone(backbone, image_size)
    image_size = base.input_shape[1]

    def pixels(indices: list[int]) -> np.ndarray:
        decoded = (
            tf.image.resize(tf.io.decode_image(source.encoded_image(i), 3, expand_animations=False), [image_size] * 2)
            for i in indices
        )
        return np.stack([preprocess(image.numpy()) for image in decoded])

    labels = source.labels
    mean, deviation = labels[train].mean(axis=0), labels[train].std(axis=0)
    head = {
        "boards": (labels.shape[-1], "sigmoid", "binary_crossentropy"),
        "cells": (1, None, "mse"),
        "digits": (len(source.class_names), "softmax", "sparse_categorical_crossentropy"),
    }[name]
    targets = (labels - mean) / deviation if name == "cells" else labels
    base.trainable = False
    inputs = keras.Input((image_size, image_size, 3))
    x = keras.layers.GlobalAveragePooling2D()(base(inputs, training=False))
    frozen = keras.Model(inputs, x)
    # Frozen layers, in inference mode, give the same features in every epoch: they are computed once, to spare the machine.
    shown, asked = (frozen.predict(pixels(indices), batch_size=16, verbose=0) for indices in (train, test))
    model = keras.Sequential([keras.Input(shown.shape[1:]), keras.layers.Dense(head[0], activation=head[1])])
    model.compile(keras.optimizers.Adam(1e-3), loss=head[2])
    model.fit(shown, targets[train], batch_size=32, epochs=EPOCHS, verbose=0)
    outputs = model.predict(asked, verbose=0)
    if name == "boards":
        return figures(name, several_labels_metrics(labels[test], outputs, np.full(head[0], 0.5), source.class_names))
    if name == "digits":
        answers = outputs.argmax(axis=1)
        kappa = quadratic_weighted_kappa(labels[test], answers, head[0])
        return {"quadratic_weighted_kappa": kappa, "mean_absolute_error": float(np.abs(answers - labels[test]).mean())}
    error = np.abs(outputs * deviation + mean - labels[test])
    left = float((error**2).sum() / ((labels[test] - labels[test].mean()) ** 2).sum())
    return {"r2": 1 - left, "mean_absolute_error": float(error.mean())}


def main() -> None:
    """Measures a set with each seed, and prints and writes the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("set", choices=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--image_size", type=int, default=224)
    parser.add_argument("--method", default="feature_extraction")
    parser.add_argument("--backbone", default="MobileNetV2", choices=["MobileNetV2", "EfficientNetLite0"])
    parser.add_argument("--out", default="")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--ours_alone", action="store_true")
    parser.add_argument("--flags", default="")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        table = SETS[options.set][1] or write_digits(pathlib.Path(folder))
        for seed in range(options.seeds):
            workdir = pathlib.Path(folder) / f"run{seed}"
            row = {"seed": seed, "tl_keras": ours(options.set, table, workdir, seed, options)}
            if not options.ours_alone:
                row["plain_keras"] = plain_keras(
                    options.set, table, workdir, seed, image_size=options.image_size, backbone=options.backbone
                )
            rows.append(row)
            print(json.dumps(row), flush=True)
    if options.out:
        command = shlex.join(["python", "-m", "benchmarks.other_tasks", *sys.argv[1:]])
        pathlib.Path(options.out).write_text(json.dumps({"command": command, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
