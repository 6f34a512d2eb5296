"""Serves with several processes at one address, each with the model; a process that dies is replaced."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.synchronize import Event
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from tl_keras.errors import TransferError

# Time in which a process answers that it lives: to import TensorFlow holds it up on a busy machine.
_SECONDS_TO_ANSWER = 60


class _Application:
    """Makes the application in the process that serves it; a failure stops all processes, which would fail alike."""

    def __init__(self, make: Callable[[], Any], failed: Event):
        self._make, self._failed = make, failed

    def __call__(self) -> Any:
        try:
            return self._make()
        except TransferError as error:
            if not self._failed.is_set():
                self._failed.set()
                print(f"error: {error}", file=sys.stderr)
                os.kill(os.getppid(), signal.SIGTERM)
            sys.exit(2)


def serve_in_processes(
    make_application: Callable[[], Any], number: int, listening: socket.socket, **options: Any
) -> int:
    """Serves until it is stopped, and returns the exit status.

    The counters of all processes are added up where `/metrics` is asked (prometheus_client's multiprocess mode), and each computes
    with its part of the cores.

    Args:
      make_application: Function that makes the ASGI application in each process; it is sent there by pickle.
      number: Number of processes.
      listening: Socket at the address.
      options: Options of `uvicorn.Config`.
    """
    failed = multiprocessing.get_context("spawn").Event()
    with tempfile.TemporaryDirectory() as counters:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = counters
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(1, (os.cpu_count() or 1) // number)))
        config = uvicorn.Config(
            _Application(make_application, failed),
            factory=True,
            workers=number,
            timeout_worker_healthcheck=_SECONDS_TO_ANSWER,
            **options,
        )
        Multiprocess(config, [listening]).run()
    return 2 if failed.is_set() else 0
