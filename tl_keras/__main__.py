"""Lists the commands by purpose, and runs one of them.

python -m tl_keras
python -m tl_keras train --data=photos/ --workdir=run1      (the same as python -m tl_keras.train ...)

The console script `tl_keras` does the same. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import runpy
import sys

from tl_keras.errors import ConfigError, nearest

# Grouped by purpose, in the order in which a project needs them.
COMMANDS = {
    "before training": {
        "demo": "see what transfer learning is worth, in two minutes, without a download",
        "inspect": "find damaged files, copies, wrong labels and leaks between splits",
        "embed": "write the features of images without labels, and a first look at them",
        "similar": "find the images most like a photo",
        "advise": "choose a teacher, a method and how much to unfreeze, with an estimate of time",
        "label_next": "choose the images to label next, and label them on a page",
        "backbones": "list the pre-trained networks, or show where one can be cut",
    },
    "training": {
        "train": "train a student on images and export it",
        "sweep": "compare several depths of unfreezing",
        "distill": "train a small student on the answers of a finished run, and on images without labels",
    },
    "using a run": {
        "predict": "classify image files",
        "evaluate": "measure accuracy, overall and by class, on other images",
        "report": "write the page of a run, or one that compares several runs",
        "export": "write another format, and check that it gives the same predictions",
        "shrink": "measure smaller and faster formats, and learn which loses little",
        "serve": "answer over HTTP, and try photos in a browser",
    },
    "after deployment": {
        "monitor": "compare new images with those of training, and learn when to retrain",
        "audit": "measure what worse photos and attacks do to a run",
    },
    "TPUs": {
        "tpu_check": "compile the training step for a TPU, without one",
        "tpu_smoke": "try out a real TPU",
    },
}


def main() -> None:
    """Runs the command that the first argument names, or prints the table of commands."""
    if len(sys.argv) < 2 or sys.argv[1] in ("--help", "-h", "-help", "help"):
        print(table())
        return
    command = sys.argv.pop(1)
    names = [name for commands in COMMANDS.values() for name in commands]
    if command not in names:
        error = ConfigError(
            f"command: expected one of {', '.join(names)}. Received: {command}. {nearest(command, names)}".strip()
        )
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    runpy.run_module(f"tl_keras.{command}", run_name="__main__", alter_sys=True)


def table() -> str:
    """Returns the commands as text, grouped by purpose."""
    width = max(len(name) for commands in COMMANDS.values() for name in commands)
    lines = ["tl_keras COMMAND --flag=value ...", "tl_keras COMMAND --help"]
    for purpose, commands in COMMANDS.items():
        lines += ["", f"{purpose}:", *(f"  {name:<{width}}  {wish}" for name, wish in commands.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
