"""Measures what a student inherited and accuracy does not show: worse photos, attacks, and the attack by its public teacher.

    python -m tl_keras.audit --workdir=run1
    python -m tl_keras.audit --workdir=run1 --images=30 --noteacher --json

writes run1/audit.json; python -m tl_keras.report run1 then shows it. The images that the run held out have to be where they were.
"""

from __future__ import annotations

import json
import os

from absl import flags

from tl_keras import command_line
from tl_keras.errors import ConfigError

_WORKDIR = flags.DEFINE_string("workdir", None, "The run directory; audit.json is written to it.")
_IMAGES = flags.DEFINE_integer(
    "images", 100, "Test images, of each class in proportion; of validation without a test split.", lower_bound=2
)
_TEACHER = flags.DEFINE_boolean(
    "teacher", True, "Measure the teacher, too, where KERAS_HOME has its weights with the 1000 classes."
)
_JSON = flags.DEFINE_boolean("json", False, "Print JSON.")


def main(arguments: list[str]) -> None:
    """Prints a row for each corruption and attack on stdout, and what to do about them."""
    if arguments or not _WORKDIR.value:
        raise ConfigError("flags: expected --workdir=RUN_DIRECTORY. Use --help to see what there is.")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whose gradients the attacks climb, whatever the student was trained on
    command_line.require_tensorflow()
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
