"""Measures weaknesses that accuracy does not show: worse photos, attacks, the attack through the teacher; texts spelt otherwise.

    python -m tl_keras.audit --workdir=run1
    python -m tl_keras.audit --workdir=run1 --images=30 --noteacher --json

The command writes run1/audit.json, which python -m tl_keras.report run1 then shows. The images that the run held out must still
be in their place.
"""

from __future__ import annotations

import json
import os

from absl import flags

from tl_keras import command_line, path_flags
from tl_keras.errors import ConfigError

_WORKDIR = path_flags.define("workdir", None, "The run directory, which receives audit.json.")
_IMAGES = flags.DEFINE_integer(
    "images", 100, "Number of test images or texts, each class in proportion; else of validation images.", lower_bound=2
)
_TEACHER = flags.DEFINE_boolean(
    "teacher", True, "Measure the teacher too, if KERAS_HOME has its weights with the 1000 classes."
)
_JSON = flags.DEFINE_boolean("json", False, "Print JSON.")


def main(arguments: list[str]) -> None:
    """Prints a row for each corruption and attack on stdout, and advice."""
    if arguments or not _WORKDIR.value:
        raise ConfigError("flags: expected --workdir=RUN_DIRECTORY. Use --help to see the flags.")
    os.environ["KERAS_BACKEND"] = (
        "tensorflow"  # the attacks use its gradients, whatever backend the student was trained on
    )
    command_line.require_tensorflow(reading=_WORKDIR.value)
    from tl_keras.runs.directory import RunDirectory
    from tl_keras.weaknesses.measurement import audit_run
    from tl_keras.weaknesses.table import as_text

    run = RunDirectory(_WORKDIR.value)
    run.check_writable()
    audit = audit_run(run.path, images=_IMAGES.value, with_teacher=_TEACHER.value).to_json()
    run.write_json("audit.json", audit)
    print(json.dumps(audit, indent=1) if _JSON.value else as_text(audit))


if __name__ == "__main__":
    command_line.run(main, usage=__doc__)
