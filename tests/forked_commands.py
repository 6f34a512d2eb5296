"""The commands as processes, forked where TensorFlow is imported already: to import it takes longer than most of them do.

What they have of a fresh process: flags, imports of the package's commands, standard streams, signals and an exit status of
their own.
"""

import importlib
import multiprocessing
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import tempfile

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["tl_keras.training.loop"])


def start_command(
    command: str, *arguments, stdout=os.devnull, stderr=os.devnull, before: str = ""
) -> multiprocessing.process.BaseProcess:
    """Starts `python -m tl_keras.COMMAND ARGUMENT...`, which writes into two files, after some code."""
    given = list(map(str, arguments))
    process = FORKED.Process(target=_become, args=(command, given, dict(os.environ), before, stdout, stderr))
    process.start()
    return process


def run_command(command: str, *arguments, before: str = "") -> subprocess.CompletedProcess:
    """Runs `python -m tl_keras.COMMAND ARGUMENT...` to its end, after some code."""
    with tempfile.TemporaryDirectory() as folder:
        stdout, stderr = pathlib.Path(folder, "stdout"), pathlib.Path(folder, "stderr")
        process = start_command(command, *arguments, stdout=stdout, stderr=stderr, before=before)
        process.join()
        said = [file.read_text(encoding="utf-8") for file in (stdout, stderr)]
    return subprocess.CompletedProcess([command, *arguments], process.exitcode, *said)


def call_of_command(command: str, function: str, *arguments):
    """Returns what a function of `tl_keras.COMMAND` returns; two commands may define the same flag, which one process refuses."""
    with FORKED.Pool(1) as pool:
        return pool.apply(_call, (f"tl_keras.{command}", function, arguments))


def _call(module: str, function: str, arguments: tuple):
    return getattr(importlib.import_module(module), function)(*arguments)


def _become(command: str, arguments: list[str], environment: dict[str, str], before: str, *streams) -> None:
    os.environ.clear()
    os.environ.update(environment)  # today's, not that of when the first process was forked
    for descriptor, file in enumerate(streams, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), descriptor)
    # As in a terminal: a shell's background job, which the tests may be, ignores Ctrl-C, and so would what it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    exec(before, {})
    sys.argv[1:] = arguments
    runpy.run_module(f"tl_keras.{command}", run_name="__main__", alter_sys=True)
