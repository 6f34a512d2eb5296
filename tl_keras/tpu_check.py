"""Compiles a run's training step for a TPU without one: tells whether it compiles, whether it fits, and its minimum cost.

    python -m tl_keras.tpu_check --data=photos/ --backbone=ResNet50 --topology=v5e:2x2
    python -m tl_keras.tpu_check --config=configs/flowers.py --topology=v6e:1x1 --batch_size=256 --strategy=tpu

It takes the options of train. The step is that of the last phase, including the frozen layers: with --strategy=jax the whole
program of Keras on JAX, with --strategy=tpu the program that TensorFlow runs on each chip, including sums over all chips. It needs
tl_keras[tpu-check], takes a minute or two for MobileNetV2, and runs nothing on a TPU, so it cannot know numerics and real
speed. Exit status: 0 if the step fits, 2 if it does not or cannot be compiled.
"""

from __future__ import annotations

import dataclasses
import json

from absl import flags

from tl_keras import command_line, run_flags
from tl_keras.config import validate
from tl_keras.errors import ConfigError

_CONFIG = run_flags.define(
    without=("strategy", "replicas", "export", "cache", "cache_dir", "cache_gib", "inference_engine")
)
_TOPOLOGY = flags.DEFINE_string(
    "topology", "v5e:2x2", "Chip (v4, v5e, v5p or v6e) and number of chips (1x1, 2x2 or 4x4)."
)
_STRATEGY = flags.DEFINE_enum(
    "strategy", "jax", ["jax", "tpu"], "Strategy of the run: Keras on JAX, or TensorFlow's TPUStrategy."
)
_LARGEST = flags.DEFINE_boolean(
    "largest", True, "Look for the largest batch that fits, which compiles some more steps."
)
_JSON = flags.DEFINE_boolean("json", False, "Print JSON.")


def main(arguments: list[str]) -> None:
    """Prints the compiler's figures on stdout."""
    if arguments:
        raise ConfigError(f"flags: expected --name=value. Received: {' '.join(arguments)}. Use --help to see them.")
    config = run_flags.config_from(_CONFIG)
    validate(config)
    from tl_keras.distribution.libtpu import chip_of, prepare_libtpu

    chip_of(_TOPOLOGY.value)
    prepare_libtpu()  # before JAX is imported
    command_line.require_tensorflow(_STRATEGY.value)
    from tl_keras.training.tpu_report import report_step

    report = report_step(config, topology=_TOPOLOGY.value, look_for_largest=_LARGEST.value)
    print(json.dumps(dataclasses.asdict(report), indent=1) if _JSON.value else report.as_text())


if __name__ == "__main__":
    command_line.run(main, usage=__doc__, prepare=run_flags.prepare_arguments)
