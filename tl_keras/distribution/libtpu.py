"""Lists TPU chips by their data sheets, and sets up the TPU compiler on a machine without one."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re

from tl_keras.errors import ConfigError, DependencyError


@dataclasses.dataclass(frozen=True)
class ChipSpec:
    """Published figures of a TPU chip.

    Attributes:
      flops: Peak floating-point operations per second, in bfloat16.
      bytes_per_second: Peak memory bandwidth.
      memory_bytes: Memory that a program can use, which is less than the round number because the system keeps some.
    """

    flops: float
    bytes_per_second: float
    memory_bytes: float


# https://cloud.google.com/tpu/docs/v4, /v5e, /v5p, /v6e; the memory of v5e and v6e is what libtpu names when it refuses a program.
CHIPS = {
    "v4": ChipSpec(275e12, 1228e9, 31.5 * 2**30),
    "v5e": ChipSpec(197e12, 819e9, 15.75 * 2**30),
    "v5p": ChipSpec(459e12, 2765e9, 95 * 2**30),
    "v6e": ChipSpec(918e12, 1640e9, 31.24 * 2**30),
}


def chip_of(topology: str) -> ChipSpec:
    """Returns the chip of a topology such as `v5e:2x2`.

    Raises:
      ConfigError: The chip is unknown.
    """
    name, _, shape = topology.partition(":")
    if name not in CHIPS or not re.fullmatch(r"\d+(x\d+){1,2}", shape):
        raise ConfigError(
            f"topology: expected a chip among {', '.join(CHIPS)} and a shape, such as v5e:2x2. Received: {topology}."
        )
    return CHIPS[name]


def prepare_libtpu() -> None:
    """Sets the variables that libtpu reads when it is loaded on a machine without a TPU; call it before JAX is imported.

    Raises:
      DependencyError: libtpu, or JAX, which calls it, is not installed.
    """
    missing = [name for name in ("libtpu", "jax") if importlib.util.find_spec(name) is None]
    if missing:
        raise DependencyError(
            "tpu_check: expected libtpu, which compiles, and JAX, which calls it. Received: no "
            f"{' and no '.join(missing)}. Run: pip install 'tl_keras[tpu-check]'"
        )
    os.environ |= {
        "JAX_PLATFORMS": "cpu",
        "TPU_SKIP_MDS_QUERY": "1",  # otherwise it waits for Google Cloud's metadata server
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "TPU_ACCELERATOR_TYPE": "v5litepod-4",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "TPU_WORKER_ID": "0",
    }
