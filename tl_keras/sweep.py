"""Tries several cuts and compares them: accuracy, seconds and parameters by depth; chooses on validation alone.

    python -m tl_keras.sweep --data=photos/ --workdir=sweep1
    python -m tl_keras.sweep --data=photos/ --workdir=sweep2 --unfreeze=none,blocks:2,all --seeds=3 --learning_rates=0.003,0.01

The runs share everything that can be shared. The same command continues where it was killed. --workdir then holds
`sweep.txt`, `sweep.json`, `sweep.png`, `report.html` and a run directory for each cut and seed; the chosen run has its own
`report.html` and exports.
"""

from __future__ import annotations

from absl import flags

from tl_keras import command_line, path_flags, run_flags
from tl_keras.config import export_formats, validate
from tl_keras.errors import ConfigError, if_stopped

_CONFIG = run_flags.define(without=("method", "unfreeze"))
_WORKDIR = path_flags.define("workdir", "tl_keras_sweep", "Directory for a run directory per cut and seed.")
_UNFREEZE = flags.DEFINE_list(
    "unfreeze", ["none", "blocks:1", "blocks:2", "blocks:4", "all"], "Cuts, from the least to the most trained."
)
_SEEDS = flags.DEFINE_integer("seeds", 1, "Number of runs of each, with seeds from --seed up.", lower_bound=1)
_FOLDS = run_flags.define_folds()
_LEARNING_RATES = flags.DEFINE_list("learning_rates", [], "Peak rates of the random weights to try with each cut.")

_REPORT = flags.DEFINE_boolean("report", True, "Write report.html; --noreport leaves it to python -m tl_keras.report.")


@if_stopped("the same command continues")
def main(arguments: list[str]) -> None:
    """Prints the table and the choice on stdout."""
    if arguments:
        raise ConfigError(f"flags: expected --name=value. Received: {' '.join(arguments)}. Use --help to see them.")
    config = run_flags.config_from(_CONFIG)
    try:
        rates = [float(rate) for rate in _LEARNING_RATES.value]
    except ValueError as error:
        raise ConfigError(f"learning_rates: expected numbers. Received: {','.join(_LEARNING_RATES.value)}.") from error

    validate(config)
    run_flags.check_folds(_FOLDS.value)
    run_flags.check_workdir(_WORKDIR.value)
    command_line.require_tensorflow(config.strategy, reading=config.data.source)
    from tl_keras.experiments.sweep import describe, sweep
    from tl_keras.serving.export import newest_version

    found = sweep(
        config,
        _WORKDIR.value,
        unfreeze=_UNFREEZE.value,
        seeds=_SEEDS.value,
        folds=_FOLDS.value or 0,
        learning_rates=rates,
    )
    print(describe(found))
    for name in export_formats(config.export):
        print(f"to serve: {newest_version(found.chosen.workdirs[0] / name)}")
    if _REPORT.value:
        from tl_keras.reporting.after_training import report_comparison

        runs = [run for row in found.rows for run in row.workdirs]
        report_comparison(_WORKDIR.value, runs, in_full=[found.chosen.workdirs[0]])


if __name__ == "__main__":
    command_line.run(main, usage=__doc__, prepare=run_flags.prepare_arguments)
