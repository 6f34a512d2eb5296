"""Runs a command in a pseudo-terminal and returns what stays on its screen."""

import errno
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

ROWS, COLUMNS = 50, 132


def lines_on_terminal(*command: str) -> list[str]:
    """Returns the lines that a command leaves on a terminal, after all that it wrote over; it has to succeed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        written = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    text = written.decode()
    assert process.returncode == 0, text
    return [line for each in text.split("\n") if (line := _shown(each.removesuffix("\r")))]


def _read(terminal: int) -> bytes:
    """Returns what was written to the other end, and nothing once nobody holds that."""
    try:
        return os.read(terminal, 65536)
    except OSError as error:  # what Linux says then
        if error.errno != errno.EIO:
            raise
        return b""


def _shown(text: str) -> str:
    """Returns a line after what was written over it from its start, by carriage returns."""
    shown = ""
    for part in re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text).split("\r"):
        shown = part + shown[len(part) :]
    return shown.rstrip()
