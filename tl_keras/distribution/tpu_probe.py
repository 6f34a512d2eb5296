"""Finds out in a separate process whether TensorFlow can use a TPU here: a wrong installation aborts or hangs that process."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import subprocess
import sys

from tl_keras.errors import DependencyError

# TensorFlow's TPU build takes about 15 seconds to import, and a TPU some more to answer. Without a TPU, the import waits
# minutes for Google's metadata server.
TPU_SECONDS = 90.0

_INSTALL = "pip uninstall -y tensorflow tensorflow-cpu tensorflow-tpu libtpu; pip install 'tl_keras[tpu]'"
_OR_JAX = "or pip install 'tl_keras[jax-tpu]' and use --strategy=jax"

# Each failure with its remedy. The keys are those of `tpu_alone.py`, and `abort` and `hang`.
_FAILURES = {
    "both": f"tensorflow-tpu beside another build of TensorFlow, which breaks it ({{detail}}). Run: {_INSTALL}",
    "no_tensorflow": f"no TensorFlow ({{detail}}). Run: {_INSTALL}",
    "no_support": f"a TensorFlow without TPU support ({{detail}}). Run: {_INSTALL}; {_OR_JAX}.",
    "no_tpu": "no TPU ({detail}). Run on a machine with one, or use --strategy=auto.",
    "abort": f"TensorFlow aborts when it is imported or finds the TPU ({{detail}}), as it does with a libtpu newer than 0.0.30. "
    f"Run: {_INSTALL}; {_OR_JAX}.",
    "hang": "no answer in {detail}, as where the machine has no TPU. Run on a machine with one, or use --strategy=cpu.",
}


@dataclasses.dataclass(frozen=True)
class TpuSystem:
    """A TPU that answered.

    Attributes:
      cores: Number of cores that train together.
      description: Type of the TPU, as the system reports it.
    """

    cores: int
    description: str


def find_tpu(*, seconds: float) -> TpuSystem:
    """Starts the TPU with TensorFlow in a separate process, and returns what it reports.

    Args:
      seconds: Time after which the process is ended.

    Raises:
      DependencyError: The TPU did not start; the line says why, and names the remedy.
    """
    script = pathlib.Path(__file__).with_name("tpu_alone.py")
    try:
        process = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise _failed("hang", f"{seconds:g} seconds") from error
    if process.returncode < 0:
        raise _failed("abort", f"signal {-process.returncode}")
    try:
        answer = json.loads(process.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        last_line = (process.stderr.strip().splitlines() or ["no message"])[-1]
        raise _failed("abort", last_line) from error
    if "failure" in answer:
        raise _failed(answer["failure"], answer["detail"])
    return TpuSystem(answer["cores"], answer["description"])


def _failed(failure: str, detail: str) -> DependencyError:
    return DependencyError(
        f"strategy: expected a TPU that TensorFlow can use. Received: {_FAILURES[failure].format(detail=detail)}"
    )
