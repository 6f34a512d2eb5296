"""Tries out a real TPU in a minute or two: five steps, the frozen weights, and the export on the CPU.

    python -m tl_keras.tpu_smoke                   (TensorFlow, with tl_keras[tpu])
    python -m tl_keras.tpu_smoke --strategy=jax    (JAX, with tl_keras[jax-tpu])
    python -m tl_keras.tpu_smoke --strategy=cpu    (a rehearsal without a TPU)

It trains the embedded teacher on scikit-learn's digits, downloads nothing and leaves nothing behind. Its output on stdout
is meant for a bug report. Exit status: 0 all is well, 1 something is not, 2 there is no such hardware.
"""

from __future__ import annotations

import json
import tempfile

from absl import flags

from tl_keras import command_line
from tl_keras.config import TransferConfig, quick_start, set_value
from tl_keras.errors import ConfigError
from tl_keras.runs.records import RunResult

_STRATEGY = flags.DEFINE_enum("strategy", "tpu", ["tpu", "jax", "cpu"], "Hardware to try; cpu is a rehearsal.")

# Number of images of each of the ten digits. All fit in one batch, which 1, 2, 4, 8 or 16 cores divide: an epoch is a step.
_EXAMPLES_PER_CLASS = 16

# Number of steps of the head alone, and of the head with the last two blocks.
_HEAD_STEPS, _FINE_TUNING_STEPS = 2, 3


def main(arguments: list[str]) -> int:
    """Prints the findings on stdout."""
    if arguments:
        raise ConfigError(f"flags: expected --name=value. Received: {' '.join(arguments)}. Use --help to see them.")
    command_line.require_tensorflow(_STRATEGY.value)
    from tl_keras.runs.directory import RunDirectory
    from tl_keras.training.loop import train_and_evaluate

    with tempfile.TemporaryDirectory(prefix="tl_keras_tpu_smoke_") as folder:
        result = train_and_evaluate(_smallest_run(_STRATEGY.value), f"{folder}/run")
        losses = [epoch.loss for epoch in RunDirectory(f"{folder}/run").read_epochs()]
    text, well = report(result, losses)
    print(text)
    return 0 if well else 1


def _smallest_run(strategy: str) -> TransferConfig:
    config = quick_start()
    set_value(config, "strategy", strategy)
    config.data.train_examples_per_class = _EXAMPLES_PER_CLASS
    config.model.unfreeze, config.model.batch_norm, config.model.dropout = "blocks:2", "train", 0.0
    config.training.global_batch_size = 10 * _EXAMPLES_PER_CLASS
    config.training.head_epochs, config.training.epochs = _HEAD_STEPS, _FINE_TUNING_STEPS
    config.cache.enabled = False  # so that the TPU computes the frozen layers too
    return config


def report(result: RunResult, losses: list[float]) -> tuple[str, bool]:
    """Returns the text for a bug report, and whether all is well.

    Args:
      result: Result of the run.
      losses: Training losses, one per step.
    """
    proofs, export = result.freeze_proof, result.export[0]
    fell = losses[-1] < losses[0]
    lines = [
        "tl_keras tpu_smoke",
        f"hardware: {json.dumps(result.hardware)}",
        f"versions: {json.dumps(result.versions)}",
        f"loss by step: {' '.join(f'{loss:.4f}' for loss in losses)}: {'it falls' if fell else 'IT DOES NOT FALL'}",
        # The run ends with an error if a frozen weight moves or the export differs.
        f"frozen weights: {proofs[0]['frozen_unchanged']} then {proofs[-1]['frozen_unchanged']}, bit-identical after each phase",
        f"export on the CPU: largest difference {export['largest_difference']:.2g} to training's own answers",
        f"seconds: {json.dumps(result.seconds)}",
        "all is well" if fell else "NOT WELL: please report the lines above",
    ]
    return "\n".join(lines), fell


if __name__ == "__main__":
    command_line.run(main, usage=__doc__)
