"""Decides the device of a run once, into a frozen record that is printed and kept."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import platform
from typing import Any

from tl_keras.errors import DependencyError


@dataclasses.dataclass(frozen=True)
class Hardware:
    """What a run computes on, and why.

    Attributes:
      engine: `tensorflow`.
      device: `cpu` or `gpu`.
      description: The processor's or graphics card's name, as the system gives it.
      replicas: Copies of the model that train together.
      reason: A sentence.
    """

    engine: str
    device: str
    description: str
    replicas: int
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Returns the record as a dictionary of JSON's own types."""
        return dataclasses.asdict(self)


def resolve_hardware(strategy: str) -> Hardware:
    """Chooses the device, before TensorFlow has used any.

    Args:
      strategy: `auto` (the first GPU that TensorFlow sees, else the CPU), `cpu` or `gpu`.

    Raises:
      DependencyError: `gpu` was asked for and TensorFlow sees none.
    """
    import tensorflow as tf

    if strategy == "cpu":
        tf.config.set_visible_devices([], "GPU")
        return Hardware("tensorflow", "cpu", _processor(), 1, "the CPU was asked for")
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name)
        reason = "the GPU was asked for" if strategy == "gpu" else "TensorFlow sees a GPU"
        tf.config.set_visible_devices(gpus[:1], "GPU")
        return Hardware("tensorflow", "gpu", name, 1, reason)
    if strategy == "gpu":
        raise DependencyError(
            "strategy: expected a GPU that TensorFlow sees. Received: none. Install tl_keras[gpu] on a machine with a GPU "
            "and its driver, or use --strategy=cpu."
        )
    return Hardware("tensorflow", "cpu", _processor(), 1, "TensorFlow sees no GPU")


def _processor() -> str:
    try:
        with pathlib.Path("/proc/cpuinfo").open() as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{os.cpu_count()} x {name}"
