"""Reads `TF_CONFIG`, which names the processes that train together."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

from tl_keras.errors import ConfigError

_EXAMPLE = '{"cluster": {"worker": ["host1:12345", "host2:12345"]}, "task": {"type": "worker", "index": 0}}'


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The processes of a run.

    Attributes:
      addresses: Host and port of each process, in the order of their numbers.
      process: Number of this process; number 0 writes the run directory.
    """

    addresses: tuple[str, ...]
    process: int


def read_cluster() -> Cluster | None:
    """Returns what `TF_CONFIG` says (https://www.tensorflow.org/guide/distributed_training), or None for a single process.

    Raises:
      ConfigError: `TF_CONFIG` cannot be read, or names tasks other than `chief` and `worker`.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        said: dict[str, Any] = json.loads(text or "{}")
        tasks = {kind: tuple(map(str, said.get("cluster", {}).get(kind, ()))) for kind in ("chief", "worker")}
        addresses = tasks["chief"] + tasks["worker"]
        if len(addresses) < 2:
            return None
        kind, index = said["task"]["type"], int(said["task"]["index"])
        process = range(len(tasks[kind])).index(index) + (kind == "worker") * len(tasks["chief"])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"TF_CONFIG: expected JSON such as {_EXAMPLE}. Received: {text}.") from error
    return Cluster(addresses, process)
