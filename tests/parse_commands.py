"""Reads command lines and prints for each `understood`, or what the command says against it.

A command goes as far as it does before it needs TensorFlow, which is after its flags and its config are found right.
"""

import contextlib
import io
import runpy
import shlex
import sys

from absl import flags

from tl_keras import command_line
from tl_keras.data import source_names
from tl_keras.distribution import libtpu
from tl_keras.reporting import finished_run
from tl_keras.search import index


class Understood(BaseException):
    """Nothing that catches errors catches it."""


def stop(*_, **__):
    raise Understood


command_line.require_tensorflow = stop
source_names.check_source = source_names.parse_source_name  # nothing that is named has to be there
libtpu.prepare_libtpu = stop  # what comes first in tpu_check
finished_run.read_run = stop  # and in report
index.read_index = stop  # and in similar

for line in sys.stdin:
    python, _, module, *arguments = shlex.split(line.partition(" > ")[0], comments=True)
    sys.argv = [python, *arguments]
    for name in {*flags.FLAGS} - {
        "verbose"
    }:  # those of the command before; `command_line`, imported once, defines --verbose
        delattr(flags.FLAGS, name)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            runpy.run_module(module, run_name="__main__")
    except Understood:
        print("understood")
    except SystemExit as end:
        print(said.getvalue().strip() if end.code else "understood")
