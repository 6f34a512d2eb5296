"""Measures smaller and faster forms of a finished run: size, milliseconds and score of each, and which loses little.

    python -m tl_keras.shrink --workdir=run1
    python -m tl_keras.shrink --workdir=run1 --formats=litert,litert_int8 --max_loss=0.02
    python -m tl_keras.shrink --workdir=run1 --prune=0.3 --pruned_workdir=run1_small

Every format is exported if it is missing, and asked for the run's test images in its own runtime. litert_int8 is calibrated on
training images, int8 per channel. The table goes into result.json and the report.

With --prune, a part of the channels between two convolutions is removed, those that add least, and what is left is fine-tuned on
the run's images and its answers: a smaller network in float32, an ordinary run, whose formats can be measured in turn.
"""

from __future__ import annotations

import dataclasses
import json

from absl import flags

from tl_keras import command_line, path_flags
from tl_keras.errors import ConfigError, nearest

_WORKDIR = path_flags.define("workdir", None, "The run directory, finished.")
_MAX_LOSS = flags.DEFINE_float(
    "max_loss", 0.01, "Loss of the score that is allowed, such as 0.01 for a point.", lower_bound=0.0, upper_bound=1.0
)
_FORMATS = flags.DEFINE_list("formats", [], "Formats to measure; by default all whose converters are installed.")
_PRUNE = flags.DEFINE_float(
    "prune",
    0.0,
    "Part of the channels between two convolutions to remove, such as 0.3; 0 leaves the network.",
)
_PRUNED_WORKDIR = path_flags.define("pruned_workdir", None, "The run directory of the pruned network.")
_PRUNE_EPOCHS = flags.DEFINE_integer(
    "prune_epochs", 0, "Epochs of fine-tuning the pruned network; by default the usual number.", lower_bound=0
)
_REPORT = flags.DEFINE_boolean(
    "report", True, "Write report.html again; --noreport leaves it to python -m tl_keras.report."
)
_JSON = flags.DEFINE_boolean("json", False, "Print JSON.")

_KNOWN = ("litert", "litert_float16", "litert_dynamic_int8", "litert_int8", "onnx", "openvino")


def main(arguments: list[str]) -> None:
    """Prints the table on stdout."""
    if arguments or not _WORKDIR.value:
        raise ConfigError("flags: expected --workdir=RUN_DIRECTORY. Use --help to see the flags.")
    if unknown := [name for name in _FORMATS.value if name not in _KNOWN]:
        raise ConfigError(
            f"formats: expected some of {', '.join(_KNOWN)}. Received: {unknown[0]}. {nearest(unknown[0], _KNOWN)}".strip()
        )
    if _PRUNE.value and not 0 < _PRUNE.value < 1:
        raise ConfigError(f"prune: expected a part of the channels above 0 and below 1. Received: {_PRUNE.value:g}.")
    if bool(_PRUNE.value) != bool(_PRUNED_WORKDIR.value) or (_PRUNE.value and _FORMATS.value):
        raise ConfigError(
            "prune: expected --prune=PART with --pruned_workdir=NEW_DIRECTORY and without --formats, which are measured "
            "afterwards of that run."
        )
    if _PRUNE_EPOCHS.value and not _PRUNE.value:
        raise ConfigError(
            "prune_epochs: expected --prune=PART beside it. Received: no --prune. Leave --prune_epochs out."
        )
    command_line.require_tensorflow()
    if _PRUNED_WORKDIR.value:
        _prune(_WORKDIR.value, _PRUNED_WORKDIR.value)
        return
    from tl_keras.experiments.shrinking import describe, formats_at_hand, shrink

    found = shrink(_WORKDIR.value, _FORMATS.value or formats_at_hand(), max_loss=_MAX_LOSS.value)
    print(json.dumps(dataclasses.asdict(found), indent=1) if _JSON.value else describe(found))
    if _REPORT.value:
        from tl_keras.reporting.run_report import write_report

        write_report(_WORKDIR.value)


def _prune(workdir: str, pruned_workdir: str) -> None:
    from tl_keras.experiments.pruning import describe_pruned, prune

    found = prune(
        workdir,
        pruned_workdir,
        part=_PRUNE.value,
        max_loss=_MAX_LOSS.value,
        epochs=_PRUNE_EPOCHS.value,
    )
    print(json.dumps(dataclasses.asdict(found)) if _JSON.value else describe_pruned(found))
    if _REPORT.value:
        from tl_keras.reporting.run_report import write_report

        write_report(pruned_workdir)


if __name__ == "__main__":
    command_line.run(main, usage=__doc__)
