"""Exports a finished run, and proves that the export reproduces training's numbers.

    python -m tl_keras.export --workdir=run1 --format=saved_model
    python -m tl_keras.export --workdir=run1 --format=litert_int8,onnx,openvino

Each format gets its next version directory, run1/FORMAT/1, 2, ...; a server that watches run1/FORMAT never sees a partial
model. If an export does not agree with training, nothing of it remains, and the exit status is 1.
"""

from __future__ import annotations

import json
from typing import Any

from absl import flags

from tl_keras import command_line, path_flags
from tl_keras.config import ANSWERED_VIEWS, EXPORTS, export_formats
from tl_keras.errors import ConfigError

_WORKDIR = path_flags.define("workdir", None, "The run directory, with model.keras in it.")
_FORMAT = flags.DEFINE_string("format", "saved_model", f"One or more of {','.join(EXPORTS)}, comma-separated.")
_VIEWS = flags.DEFINE_enum(
    "test_time_augmentation",
    "none",
    ANSWERED_VIEWS,
    "Average the answers for an image and its mirror image, or for its middle and four corners: twice or five times the work.",
)
_JSON = flags.DEFINE_boolean("json", False, "Print JSON.")


def main(arguments: list[str]) -> None:
    """Exports, and prints a row for each format on stdout."""
    if arguments or not _WORKDIR.value:
        raise ConfigError("flags: expected --workdir=RUN_DIRECTORY. Use --help to see the flags.")
    formats = export_formats(_FORMAT.value)
    if not formats:
        raise ConfigError(f"format: expected one of {', '.join(EXPORTS)}. Received: none.")
    command_line.require_tensorflow()
    from tl_keras.serving.export import export_run

    rows = export_run(_WORKDIR.value, formats, views=_VIEWS.value)
    print(json.dumps(rows, indent=1) if _JSON.value else as_text(rows))


def as_text(rows: list[dict[str, Any]]) -> str:
    """Returns a line for each export: its path, its size, and its difference from training."""
    width = max(len(row["path"]) for row in rows)
    return "\n".join(
        f"{row['path']:<{width}}  {row['megabytes']:7.2f} MB  largest difference {row['largest_logit_difference']:.1e} "
        f"of the largest logit, {row['largest_difference']:.1e} of a probability  "
        f"top-1 agreement {row['top_1_agreement']:.3f}  ({row['images_compared']} images)"
        for row in rows
    )


if __name__ == "__main__":
    command_line.run(main, usage=__doc__)
