"""TPU chips as their data sheets have them, and the compiler for them on a machine without one."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re

from tl_keras.errors import ConfigError, DependencyError


@dataclasses.dataclass(frozen=True)
class ChipSpec:
    """What is published of a TPU chip.

    Attributes:
      flops: Floating-point operations a second, bfloat16, at best.
      bytes_per_second: Of its memory, at best.
      memory_bytes: What a program can have of it; below the round number by what the system keeps.
    """

    flops: float
    bytes_per_second: float
    memory_bytes: float


# https://cloud.google.com/tpu/docs/v4, /v5e, /v5p, /v6e; of v5e and v6e the memory is what libtpu names when it refuses.
CHIPS = {
    "v4": ChipSpec(275e12, 1228e9, 31.5 * 2**30),
    "v5e": ChipSpec(197e12, 819e9, 15.75 * 2**30),
    "v5p": ChipSpec(459e12, 2765e9, 95 * 2**30),
    "v6e": ChipSpec(918e12, 1640e9, 31.24 * 2**30),
}


def chip_of(topology: str) -> ChipSpec:
    """Returns the chip of a topology such as `v5e:2x2`.

    Raises:
      ConfigError: It is none that is known.
    """
    name, _, shape = topology.partition(":")
    if name not in CHIPS or not re.fullmatch(r"\d+(x\d+){1,2}", shape):
        raise ConfigError(
            f"topology: expected a chip among {', '.join(CHIPS)} and a shape, such as v5e:2x2. Received: {topology}."
        )
    return CHIPS[name]


def prepare_libtpu() -> None:
    """Sets what libtpu reads when it is loaded on a machine without a TPU; call it before JAX is imported.

    Raises:
      DependencyError: It, or JAX, through which it is called, is not installed.
    """
    missing = [name for name in ("libtpu", "jax") if importlib.util.find_spec(name) is None]
    if missing:
        raise DependencyError(
            "tpu_check: expected libtpu, which compiles, and JAX, which calls it. Received: no "
            f"{' and no '.join(missing)}. Run: pip install 'tl_keras[tpu-check]'"
        )
    os.environ |= {
        "JAX_PLATFORMS": "cpu",
        "TPU_SKIP_MDS_QUERY": "1",  # the metadata server of Google Cloud would be waited for
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "TPU_ACCELERATOR_TYPE": "v5litepod-4",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "TPU_WORKER_ID": "0",
    }
