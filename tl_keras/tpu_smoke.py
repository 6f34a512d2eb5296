"""Tries a TPU that is there, in a minute or two: five steps, the frozen weights, and the export on the CPU.

    python -m tl_keras.tpu_smoke                   (TensorFlow, with tl_keras[tpu])
    python -m tl_keras.tpu_smoke --strategy=jax    (JAX, with tl_keras[jax-tpu])
    python -m tl_keras.tpu_smoke --strategy=cpu    (a rehearsal without a TPU)

It trains the embedded teacher on scikit-learn's digits, downloads nothing and leaves nothing behind. What it prints on stdout
is for pasting into a bug report. Exit status: 0 all is well, 1 something is not, 2 there is no such hardware.
"""

from __future__ import annotations

import json
import pathlib
import tempfile
from typing import Any

from absl import flags

from tl_keras import command_line
from tl_keras.config import TransferConfig, quick_start
from tl_keras.errors import ConfigError

_STRATEGY = flags.DEFINE_enum("strategy", "tpu", ["tpu", "jax", "cpu"], "What to try; cpu is a rehearsal.")

# Of each of the ten digits. All are in one batch, which divides by 1, 2, 4, 8 or 16 cores: an epoch is a step.
_EXAMPLES_PER_CLASS = 16

# Steps of the head alone, and of the head with the last two blocks.
_HEAD_STEPS, _FINE_TUNING_STEPS = 2, 3


def main(arguments: list[str]) -> int:
    """Prints what was seen on stdout."""
    if arguments:
        raise ConfigError(f"flags: expected --name=value. Received: {' '.join(arguments)}. Use --help to see them.")
    command_line.require_tensorflow(_STRATEGY.value)
    from tl_keras.training.loop import train_and_evaluate

    with tempfile.TemporaryDirectory(prefix="tl_keras_tpu_smoke_") as folder:
        result = train_and_evaluate(_smallest_run(_STRATEGY.value), f"{folder}/run")
        lines = pathlib.Path(folder, "run", "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        losses = [json.loads(line)["loss"] for line in lines]
    text, well = report(result, losses)
    print(text)
    return 0 if well else 1


def _smallest_run(strategy: str) -> TransferConfig:
    config = quick_start()
    config.strategy = strategy
    config.data.train_examples_per_class = _EXAMPLES_PER_CLASS
    config.model.unfreeze, config.model.batch_norm, config.model.dropout = "blocks:2", "train", 0.0
    config.training.global_batch_size = 10 * _EXAMPLES_PER_CLASS
    config.training.head_epochs, config.training.epochs = _HEAD_STEPS, _FINE_TUNING_STEPS
    config.cache.enabled = False  # the frozen layers are to be computed on the TPU as well
    return config


def report(result: dict[str, Any], losses: list[float]) -> tuple[str, bool]:
    """Returns what to paste into a bug report, and whether all is well.

    Args:
      result: Of the run, as in `result.json`.
      losses: Of training, one a step.
    """
    proofs, export = result["freeze_proof"], result["export"][0]
    fell = losses[-1] < losses[0]
    lines = [
        "tl_keras tpu_smoke",
        f"hardware: {json.dumps(result['hardware'])}",
        f"versions: {json.dumps(result['versions'])}",
        f"loss by step: {' '.join(f'{loss:.4f}' for loss in losses)}: {'it falls' if fell else 'IT DOES NOT FALL'}",
        # The run ends with an error where one moves, or where the export differs.
        f"frozen weights: {proofs[0]['frozen_unchanged']} then {proofs[-1]['frozen_unchanged']}, bit-identical after each phase",
        f"export on the CPU: largest difference {export['largest_difference']:.2g} to training's own answers",
        f"seconds: {json.dumps(result['seconds'])}",
        "all is well" if fell else "NOT WELL: please report the lines above",
    ]
    return "\n".join(lines), fell


if __name__ == "__main__":
    command_line.run(main, usage=__doc__)
