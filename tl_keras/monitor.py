"""Compares new images or texts with those that a model was trained on, and says when to retrain.

    python -m tl_keras.monitor --reference=run1 --data=new_photos/
    python -m tl_keras.monitor --reference=run1 --data=new_photos/ --json

--data is a folder of images without labels; of texts, a .txt file with a text per line, or csv:FILE with a column of texts.
Exit status: 0 to keep the model, 3 if a change was found.
"""

from __future__ import annotations

import json
from typing import Any

from absl import flags

from tl_keras import command_line, path_flags
from tl_keras.console import number_of
from tl_keras.errors import ConfigError

_REFERENCE = path_flags.define("reference", None, "The run directory of the model.")
_DATA = path_flags.define("data", None, "Directory with images, at any depth; or a file of texts.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Number of images at a time.", lower_bound=1)
_JSON = flags.DEFINE_boolean("json", False, "Print JSON.")
_CHANGED = 3


def main(arguments: list[str]) -> int:
    """Prints a row for each comparison on stdout; returns 3 if something has changed."""
    if arguments or not _REFERENCE.value or not _DATA.value:
        raise ConfigError(
            "flags: expected --reference=RUN_DIRECTORY and --data=FOLDER_OR_FILE. Use --help to see the flags."
        )
    command_line.require_tensorflow(reading=_DATA.value)
    from tl_keras.serving.monitoring import compare_images

    report = compare_images(_REFERENCE.value, _DATA.value, batch_size=_BATCH_SIZE.value)
    print(json.dumps(report, indent=1) if _JSON.value else as_text(report))
    return _CHANGED if report["changed"] else 0


def as_text(report: dict[str, Any]) -> str:
    """Returns a line for each comparison, the label shares, and the verdict."""
    lines = [number_of(report["images"], report["noun"]), *report["left_out"]]
    lines += [check["line"] for check in report["checks"]]
    lines += [
        f"{row['label']}: {row['share']:.1%} of the answers, {row['share_in_validation']:.1%} in validation"
        for row in report["labels"]
    ]
    return "\n".join([*lines, report["verdict"]])


if __name__ == "__main__":
    command_line.run(main, usage=__doc__)
