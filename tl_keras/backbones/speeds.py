"""Remembers how many images per second each backbone takes on a machine; imports no TensorFlow."""

from __future__ import annotations

import json
import os
import pathlib
import platform

from tl_keras.files import replacing

_FILE = "speeds.json"


def machine() -> str:
    """Returns the processor's name and the number of its cores."""
    cpu_info = pathlib.Path("/proc/cpuinfo")
    lines = cpu_info.read_text(encoding="utf-8").splitlines() if cpu_info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def known_speeds(cache: pathlib.Path) -> dict[str, float]:
    """Returns images per second by the name of the backbone, as they were measured on this machine.

    Args:
      cache: Directory of the cache.
    """
    return _read(cache).get(machine(), {})


def remember_speed(cache: pathlib.Path, name: str, images_per_second: float) -> None:
    """Remembers a measurement of this machine.

    Raises:
      WorkdirError: The cache is not writable.
    """
    cache.mkdir(parents=True, exist_ok=True)
    every = _read(cache)
    every[machine()] = {**every.get(machine(), {}), name: images_per_second}
    with replacing(cache / _FILE) as temporary:
        temporary.write_text(json.dumps(every, indent=1), encoding="utf-8")


def _read(cache: pathlib.Path) -> dict[str, dict[str, float]]:
    try:
        found = json.loads((cache / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # a new measurement replaces the file
    return found if isinstance(found, dict) else {}
