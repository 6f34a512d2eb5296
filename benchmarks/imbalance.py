"""What each remedy for rare classes is worth: `python -m benchmarks.imbalance [--seeds=3] [--json=FILE]`.

Classes of CIFAR-10 from 400 training images down to 40, in an order that the seed draws; frozen features of MobileNetV2 (width
0.35, 128 pixels, kept by the cache), ten epochs. On 200 test images of each class: the mean recall of the classes; and on as many
as are in the training images' proportion, the accuracy and the expected calibration error, by the temperature of the run.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import tempfile
import time

import numpy as np

from benchmarks.measuring import TEST_DATA

MOST, FEWEST, TESTED = 400, 40, 200

RECIPES = {
    "none": {},
    "class_weights=balanced": {"class_weights": "balanced"},
    "sampling=balanced": {"sampling": "balanced"},
    "loss=logit_adjustment": {"loss": "logit_adjustment"},
    "loss=focal": {"loss": "focal"},
    "loss=focal class_weights=balanced": {"loss": "focal", "class_weights": "balanced"},
}


def read_images(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the images, uint8 (n, 32, 32, 3), and labels, int64 (n,), of a split of CIFAR-10."""
    import tensorflow as tf

    features = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
    examples = [
        tf.io.parse_single_example(record, features)
        for record in tf.data.TFRecordDataset(str(TEST_DATA / "cifar10" / f"{split}.tfrecord"))
    ]
    pixels = np.stack([tf.io.decode_image(example["image"]).numpy() for example in examples])
    return pixels, np.array([int(example["label"]) for example in examples])


def draw(labels: np.ndarray, counts: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns as many positions of each class as asked for."""
    order = random.permutation(len(labels))
    return np.concatenate([order[labels[order] == name][:count] for name, count in enumerate(counts)])


def measure(logits: np.ndarray, labels: np.ndarray, temperature: float, frequencies: np.ndarray) -> dict[str, float]:
    """Returns mean recall over all images; accuracy and calibration error over those in the training images' proportion."""
    from tl_keras.evaluation.calibration import expected_calibration_error

    right, classes = logits.argmax(axis=1) == labels, range(len(frequencies))
    kept = np.round(TESTED * frequencies / frequencies.max()).astype(int)
    drawn = np.concatenate([np.flatnonzero(labels == name)[: kept[name]] for name in classes])
    scaled = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    probabilities = scaled / scaled.sum(axis=1, keepdims=True)
    rare = np.argsort(frequencies)[:3]
    return {
        "macro_recall": float(np.mean([right[labels == name].mean() for name in classes])),
        "recall_of_three_rarest": float(np.mean([right[labels == name].mean() for name in rare])),
        "accuracy": float(right[drawn].mean()),
        "calibration_error": expected_calibration_error(probabilities[drawn], labels[drawn]),
    }


def main() -> None:
    """Trains each recipe with each seed, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    import tl_keras
    from tl_keras.training.model_cache import ModelCache

    (train, train_labels), (test, test_labels) = read_images("train"), read_images("test")
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in RECIPES}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            random, models = np.random.default_rng(seed), ModelCache()
            counts = random.permutation(np.geomspace(MOST, FEWEST, 10).round().astype(int))
            shown, asked = draw(train_labels, counts, random), draw(test_labels, np.full(10, TESTED), random)
            source = tl_keras.ArraySource(
                np.concatenate([train[shown], test[asked]]),
                np.concatenate([train_labels[shown], test_labels[asked]]),
                splits=["train"] * len(shown) + ["test"] * len(asked),
            )
            for name, changes in RECIPES.items():
                config = tl_keras.TransferConfig(export="none", seed=seed)
                config.model.backbone, config.model.alpha, config.model.image_size = "MobileNetV2", 0.35, 128
                config.model.method, config.cache.folder = "feature_extraction", f"{folder}/cache"
                config.training = tl_keras.TrainingConfig(epochs=10, **changes)
                workdir, began = pathlib.Path(folder, f"{seed} {name}"), time.perf_counter()
                result = tl_keras.train_and_evaluate(config, workdir, source=source, models=models)
                with np.load(workdir / "logits.npz") as arrays:
                    temperature = result.calibration["temperature"]
                    found = measure(arrays["logits"], arrays["labels"], temperature, counts / counts.sum())
                rows[name].append({**found, "seconds": time.perf_counter() - began})
                print(name, seed, {key: round(value, 4) for key, value in rows[name][-1].items()}, flush=True)
    for name, found in rows.items():
        cells = [f"{np.mean([row[key] for row in found]):.3f}" for key in found[0]]
        print(f"| `{name}` | " + " | ".join(cells) + " |")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
