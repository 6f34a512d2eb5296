"""Trains a small student that learns the answers of a finished run, and compares it with the student alone.

    python -m tl_keras.train --data=photos/ --workdir=big --backbone=EfficientNetLite2
    python -m tl_keras.distill --teacher_run=big --workdir=small --backbone=MobileNetV2 --alpha=0.35
    python -m tl_keras.distill --teacher_run=big --workdir=small2 --alpha=0.35 --unlabelled=more_photos/

Images, splits and task are those of the teacher run, unless --data names others. Images without labels cost nothing but time: the
teacher run answers for them; where there are none, it answers for mixtures of few training images. --workdir then holds the runs
alone/seed_N and distilled/seed_N, of which the latter is exported, and the table (distill.txt).
"""

from __future__ import annotations

import functools
import pathlib

from absl import flags

from tl_keras import command_line, path_flags, run_flags
from tl_keras.config import validate
from tl_keras.errors import ConfigError, if_stopped

_CONFIG = run_flags.define()
_TEACHER_RUN = path_flags.define("teacher_run", None, "The directory of the finished run whose answers are learnt.")
_UNLABELLED = flags.DEFINE_string("unlabelled", None, "A folder of images without labels, which are learnt from too.")
_WORKDIR = path_flags.define("workdir", "tl_keras_distilled", "Directory for the run directories of both students.")
_REPORT = flags.DEFINE_boolean("report", True, "Write report.html; --noreport leaves it to python -m tl_keras.report.")


@if_stopped("the same command continues")
def main(arguments: list[str]) -> None:
    """Prints the table on stdout."""
    if arguments or not _TEACHER_RUN.value:
        raise ConfigError("flags: expected --teacher_run=RUN_DIRECTORY. Use --help to see the flags.")
    config = run_flags.config_from(_CONFIG)
    config.distillation.teacher_run = _TEACHER_RUN.value
    config.distillation.unlabelled = _UNLABELLED.value or config.distillation.unlabelled
    run_flags.check_workdir(_WORKDIR.value)
    if (pathlib.Path(_WORKDIR.value) / "config.json").exists():
        raise ConfigError(
            f"workdir: expected a directory for the runs of both students. Received: {_WORKDIR.value}, which is a run itself. "
            "Use another --workdir."
        )
    command_line.require_tensorflow(config.strategy, reading=_TEACHER_RUN.value)
    from tl_keras.experiments.teacher_comparison import distil, table, with_data_of

    if not config.data.source:
        config = with_data_of(config, _TEACHER_RUN.value)
    validate(config)
    found = distil(config, _WORKDIR.value)
    print(table(found))
    chosen = found.runs[-1].workdirs[0]
    if _REPORT.value:
        from tl_keras.reporting.after_training import report_comparison

        report_comparison(_WORKDIR.value, [run for row in found.runs for run in row.workdirs], in_full=[chosen])
    print(f"the distilled student: {chosen}")


if __name__ == "__main__":
    command_line.run(main, usage=__doc__, prepare=functools.partial(run_flags.prepare_arguments, "default.py"))
