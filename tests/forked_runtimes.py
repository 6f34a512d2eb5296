"""The process that asks a SavedModel, forked where TensorFlow is imported already: to import it takes longer than to ask.

What it has of a fresh process: neither Keras nor tl_keras, standard streams and an exit status of its own. The commands, which are
processes themselves, start it as users do.
"""

import os
import pathlib
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile

# Which is not imported, and so brings nothing of tl_keras here.
_SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "tl_keras" / "serving" / "runtime_check.py"


class ForkServer:
    """A process in which TensorFlow is imported, and that forks one for each question; starts with the first."""

    def __init__(self):
        self._process = None

    def fork(self, *arguments: str) -> subprocess.Popen:
        """Starts `python runtime_check.py ARGUMENT...`."""
        if self._process is None:
            self._folder = tempfile.TemporaryDirectory()
            self._address = f"{self._folder.name}/socket"
            listening = socket.socket(socket.AF_UNIX)
            listening.bind(self._address)
            listening.listen()
            command = [sys.executable, __file__, "serve", str(listening.fileno())]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[listening.fileno()])
            listening.close()
        return subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, "fork", self._address, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """Ends the process, if it was started."""
        if self._process is not None:
            self._process.communicate()
            self._folder.cleanup()


def _serve(descriptor: int) -> None:
    """Forks a process for each connection, until the standard input ends."""
    sys.modules.update({"keras": None, "tl_keras": None})
    import tensorflow  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as listening:
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
            connection, _ = listening.accept()
            with connection:
                if os.fork() == 0:
                    _answer(connection)


def _answer(connection: socket.socket) -> None:
    """Runs the script in a fork of this process, and sends the exit status."""
    said, streams, _, _ = socket.recv_fds(connection, 4096, 2)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if (child := os.fork()) == 0:
        status = 1
        try:
            for stream, number in zip(streams, (0, 2), strict=True):
                os.dup2(stream, number)
            sys.argv = [str(_SCRIPT), *said.decode().split("\n")]
            runpy.run_path(str(_SCRIPT), run_name="__main__")
            status = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stderr.flush()
            os._exit(status)
    for stream in streams:
        os.close(stream)
    _, status = os.waitpid(child, 0)
    connection.sendall(bytes([os.waitstatus_to_exitcode(status) & 255]))
    os._exit(0)


def _fork(address: str, *arguments: str) -> int:
    """Has the server run the script with this process's streams, and returns the exit status."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        socket.send_fds(server, ["\n".join(arguments).encode()], [0, 2])
        return ord(server.recv(1))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve(int(sys.argv[2]))
    else:
        sys.exit(_fork(*sys.argv[2:]))
