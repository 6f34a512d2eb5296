"""Training from scratch, against ten lines of plain Keras: `python -m benchmarks.replicate FOLDER [SET:IMAGES[:EPOCHS] ...]`.

The architecture of the embedded teacher (MobileNetV2 0.35 at 32 px) from random weights, by `--method=replicate` for as many
epochs as the plain script has (Adam at 1e-3, batches of 32, BatchNorm momentum 0.9, no augmentation), and for as long as its
default. Both train on the same images and are tested on the same 2,000 (700 of the digits). FOLDER gets the runs; what is
finished there is not trained again. Prints a row a set and seed; SEEDS=3 in the environment for three seeds.
"""

from __future__ import annotations

import io
import json
import os
import pathlib
import sys

import numpy as np

from benchmarks.measuring import TEST_DATA

_SETS = ("mnist:1000", "mnist:5000", "cifar10:1000", "cifar10:5000", "digits:1000")
_EPOCHS = 16
_TEST = 2000


def main(folder: pathlib.Path, sets: list[str]) -> None:
    """Trains and prints."""
    from tl_keras.command_line import require_tensorflow

    require_tensorflow()
    print("| images | epochs | seed | plain Keras | replicate, the same epochs | replicate, its default |", flush=True)
    print("|---|---|---|---|---|---|", flush=True)
    for each in sets or _SETS:
        name, count, epochs = (each.split(":") + [str(_EPOCHS)])[:3]
        for seed in range(int(os.environ.get("SEEDS", "1"))):
            place = folder / f"{name}_{count}_{epochs}_{seed}"
            row = [_plain(name, int(count), int(epochs), seed, place)]
            row += [_ours(name, int(count), chosen, seed, place) for chosen in (int(epochs), 0)]
            accuracies = " | ".join(f"{accuracy:.3f}" for accuracy in row)
            print(f"| {name}, {int(count):,} | {epochs} | {seed} | {accuracies} |", flush=True)


def _ours(name: str, count: int, epochs: int, seed: int, place: pathlib.Path) -> float:
    """Returns the test accuracy of `replicate`; 0 epochs: its default."""
    import tl_keras

    images, labels, splits = _arrays(name, count)
    config = tl_keras.TransferConfig(seed=seed, export="none")
    config.model.method, config.model.weights, config.model.resize = "replicate", "none", "squash"
    config.model.alpha, config.model.image_size, config.training.epochs = 0.35, 32, epochs
    source = tl_keras.ArraySource(images, labels, splits=splits.tolist())
    workdir = place / (f"epochs_{epochs}" if epochs else "default")
    return tl_keras.train_and_evaluate(config, workdir, source=source).test_accuracy


def _plain(name: str, count: int, epochs: int, seed: int, place: pathlib.Path) -> float:
    """Returns the test accuracy of the plain script, which trains on what `replicate` has for validation as well."""
    if (record := place / "plain.json").exists():
        return json.loads(record.read_text())
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    images, labels, splits = _arrays(name, count)
    images = images if images.ndim == 4 else np.repeat(images[..., None], 3, axis=-1)
    images = tf.image.resize(images, (32, 32), antialias=True).numpy() / 127.5 - 1
    backbone = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.35)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9
    model = keras.Sequential([backbone, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    trained, tested = splits == "train", splits == "test"
    model.fit(images[trained], labels[trained], batch_size=32, epochs=epochs, verbose=0)
    accuracy = float(model.evaluate(images[tested], labels[tested], verbose=0)[1])
    place.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(accuracy))
    return accuracy


def _arrays(name: str, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns uint8 images, int64 labels and which are to train and which to test."""
    images, labels, tests = {"mnist": _mnist, "cifar10": _cifar10, "digits": _digits}[name](count)
    splits = np.where(np.arange(len(images)) < len(images) - tests, "train", "test")
    return images, labels, splits


def _mnist(count: int) -> tuple[np.ndarray, np.ndarray, int]:
    with np.load(TEST_DATA / "mnist.npz") as arrays:
        images = np.concatenate([arrays["x_train"][:count], arrays["x_test"][:_TEST]])
        return images, np.concatenate([arrays["y_train"][:count], arrays["y_test"][:_TEST]]).astype(np.int64), _TEST


def _cifar10(count: int) -> tuple[np.ndarray, np.ndarray, int]:
    import tensorflow as tf
    from PIL import Image

    features = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
    images, labels = [], []
    for split, most in (("train", count), ("test", _TEST)):
        records = tf.data.TFRecordDataset(str(TEST_DATA / "cifar10" / f"{split}.tfrecord")).take(most)
        for record in records.as_numpy_iterator():
            example = tf.io.parse_single_example(record, features)
            images.append(np.asarray(Image.open(io.BytesIO(example["image"].numpy())).convert("RGB")))
            labels.append(int(example["label"]))
    return np.stack(images), np.array(labels), _TEST


def _digits(count: int) -> tuple[np.ndarray, np.ndarray, int]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    kept = np.concatenate([order[:-700][:count], order[-700:]])
    return (digits.images[kept] * 255 / 16).astype(np.uint8), digits.target[kept].astype(np.int64), 700


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
