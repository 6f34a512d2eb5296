"""Trains a student on your images and exports it.

    python -m tl_keras.train --data=photos/ --workdir=run1
    python -m tl_keras.train --data=photos/ --workdir=run2 --backbone=ResNet50 --method=fine_tune --unfreeze=blocks:2
    python -m tl_keras.train --config=configs/flowers.py --workdir=run3 --config.training.weight_decay=0.001
    python -m tl_keras.train --data=photos/ --workdir=run4 --method=auto      (looks at the images first; see tl_keras.advise)
    python -m tl_keras.train                                (the quick start: nothing to download)

A flag beats the config file, which beats the default. The same command on the same --workdir continues where it was
killed; when the run is finished, it says so. Exit status: 0 done, 2 bad arguments or bad input, 1 training or export
failed.
"""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from absl import flags

from tl_keras import command_line, path_flags, run_flags
from tl_keras.config import TransferConfig, parse_budget, validate
from tl_keras.console import in_words
from tl_keras.errors import ConfigError, if_stopped
from tl_keras.evaluation.told import is_told
from tl_keras.runs.records import RunResult
from tl_keras.runs.stopwatch import Stopwatch

if TYPE_CHECKING:
    from tl_keras.training.model_cache import ModelCache

_MOST_NUMBERS = 3  # whose errors the end of a run names

_CONFIG = run_flags.define()
_WORKDIR = path_flags.define("workdir", "tl_keras_run", "The run directory, which is written and resumed.")
_COMPARE = flags.DEFINE_enum(
    "compare",
    None,
    ["methods"],
    "methods: train replicate, feature_extraction and fine_tune, and print them side by side.",
)
_SEEDS = flags.DEFINE_integer(
    "seeds", 1, "With --compare: number of runs of each, with seeds from --seed up.", lower_bound=1
)

_FOLDS = run_flags.define_folds(
    ", as is done without the flag, unless --method=auto meets so few images that their test would decide nothing"
)
_ENSEMBLE = flags.DEFINE_boolean(
    "ensemble", False, "With --folds: also make one model that answers by the average of the folds, in ensemble/."
)

_LOG = flags.DEFINE_string(
    "log", "", "Trackers that the finished run is entered into, comma-separated: csv (metrics.csv), mlflow, wandb."
)

_PUSH = flags.DEFINE_string(
    "push",
    "",
    "Repository on the Hugging Face Hub, hf://USER/NAME, that gets model, model card and exports; no picture of the images.",
)

_BUDGET = flags.DEFINE_string(
    "budget",
    "",
    "With --backbone=auto or --method=auto: time for advice and training together, such as 90s, 10min or 2h.",
)

_UNLABELLED = flags.DEFINE_string(
    "unlabelled",
    "",
    "Folder of images without labels; those that a probe on the teacher's features is sure of train too, where that helps.",
)

_REPORT = flags.DEFINE_boolean("report", True, "Write report.html; --noreport leaves it to python -m tl_keras.report.")


@if_stopped("the same command continues")
def main(arguments: list[str]) -> None:
    """Trains by the flags and prints the result on stdout."""
    if arguments:
        raise ConfigError(f"flags: expected --name=value. Received: {' '.join(arguments)}. Use --help to see them.")
    config = run_flags.config_from(_CONFIG)
    run_flags.check_workdir(_WORKDIR.value)
    _check_combination(config)
    models, folds, watch = None, _FOLDS.value or 0, Stopwatch(began=command_line.BEGAN, part="importing")
    budget, trackers, repository = parse_budget(_BUDGET.value), _trackers(), _repository()
    if "auto" in (config.model.backbone, config.model.method, config.model.resize):
        command_line.require_tensorflow(config.strategy, reading=config.data.source)
        watch.start("advising")
        from tl_keras.training.model_cache import ModelCache

        models = ModelCache()  # the run continues with it
        config, folds = _decided(config, budget, models)
    validate(config)  # before TensorFlow is imported, which takes seconds
    if models is None:
        command_line.require_tensorflow(config.strategy, reading=config.data.source)
    if _COMPARE.value == "methods":
        _compare_methods(config)
        return

    report = _write_report if _REPORT.value else None
    result = _training(folds)(config, _WORKDIR.value, models=models, stopwatch=watch, before_export=report)
    if result.process:  # one of several processes, which does not write
        return
    if report:
        with if_stopped("the run is finished; the same command writes its report"):
            report(_WORKDIR.value)  # again, because exports took their time since, and a finished run may lack the page
    print(summary(result, _WORKDIR.value))
    _pass_on(trackers, repository)


def _decided(config: TransferConfig, budget: float, models: ModelCache) -> tuple[TransferConfig, int]:
    """Returns the config with what is `auto` decided by the images, and the number of folds of the run."""
    from tl_keras.advice.automatic import with_decisions
    from tl_keras.experiments.folds import folds_for_few

    decided = with_decisions(config, _WORKDIR.value, budget_seconds=budget, models=models)
    left_open = _FOLDS.value is None and not (budget or _COMPARE.value or _UNLABELLED.value)
    if left_open and config.model.method == "auto":
        return decided, folds_for_few(decided, _WORKDIR.value, models=models)
    return decided, _FOLDS.value or 0


def _compare_methods(config: TransferConfig) -> None:
    """Trains by each of the three methods, prints them side by side, and writes their pages and exports."""
    from tl_keras.experiments.comparison import compare, export_first_runs, method_variants, table, what_next

    variants = method_variants(config)
    rows = compare(variants, _WORKDIR.value, seeds=_SEEDS.value, folds=_FOLDS.value or 0)
    print(table(rows, heading="method"))
    if _REPORT.value:
        from tl_keras.reporting.after_training import report_comparison

        runs = [run for row in rows for run in row.workdirs]
        report_comparison(_WORKDIR.value, runs, in_full=[row.workdirs[0] for row in rows])
    export_first_runs(rows, variants)  # last, so that a model that cannot be exported leaves the table
    print(what_next(rows))


def _pass_on(trackers: tuple[str, ...], repository: str) -> None:
    """Enters the finished run into trackers, and pushes it to a repository, where they are named."""
    if trackers:
        from tl_keras.reporting.tracking import track

        track(_WORKDIR.value, trackers)
    if repository:
        from tl_keras.reporting.push import push

        print(f"pushed: {push(_WORKDIR.value, repository)}")


def _check_combination(config: TransferConfig) -> None:
    """Raises a ConfigError if flags ask for two kinds of runs at once, or one of them lacks what it belongs to."""
    run_flags.check_folds(_FOLDS.value)
    if _SEEDS.value > 1 and not _COMPARE.value:
        raise ConfigError(
            f"seeds: expected --compare=methods beside it. Received: --seeds={_SEEDS.value} alone. Add --compare=methods, or use "
            "--seed=1 for one run with another seed."
        )
    if _BUDGET.value and "auto" not in (config.model.backbone, config.model.method):
        raise ConfigError(
            f"budget: expected --backbone=auto or --method=auto, which choose within it. Received: --budget={_BUDGET.value} "
            "without either. Add --method=auto, or leave --budget out: nothing else is cut short by it."
        )
    if _ENSEMBLE.value and (_COMPARE.value or not _FOLDS.value):
        raise ConfigError(
            "ensemble: expected --folds, in a run that compares nothing. Received: --ensemble. Add --folds=5."
        )
    if _UNLABELLED.value and (_FOLDS.value or _COMPARE.value):
        raise ConfigError(
            "unlabelled: expected a run of its own. Received: --unlabelled beside --folds or --compare. Leave one of the two out."
        )


def _training(folds: int) -> Callable[..., RunResult]:
    """Returns the function that trains as the flags say, with a number of folds or 0."""
    if _UNLABELLED.value:
        from tl_keras.labels.unlabelled_training import train_with_unlabelled

        return functools.partial(train_with_unlabelled, unlabelled=_UNLABELLED.value)
    if folds:
        from tl_keras.experiments.folds import train_with_folds

        return functools.partial(train_with_folds, folds=folds, ensemble=_ENSEMBLE.value)
    from tl_keras.training.loop import train_and_evaluate

    return train_and_evaluate


def _trackers() -> tuple[str, ...]:
    """Returns the trackers that the run is entered into, once it is clear that they can be used."""
    if not _LOG.value:
        return ()
    if _COMPARE.value:
        raise ConfigError("log: expected a single run. Received: --compare. Enter the runs that you want one by one.")
    from tl_keras.reporting.tracking import parse_trackers

    return parse_trackers(_LOG.value)


def _repository() -> str:
    """Returns the repository that the run is pushed to, or an empty text."""
    if not _PUSH.value:
        return ""
    if _COMPARE.value:
        raise ConfigError("push: expected a single run. Received: --compare. Push the one that you choose.")
    from tl_keras.reporting.push import parse_target

    return parse_target(_PUSH.value)


def _write_report(workdir: str | os.PathLike[str]) -> None:
    """Writes the page of a trained run, or updates its section on time."""
    from tl_keras.reporting.after_training import report_run

    report_run(workdir)


def summary(result: RunResult, workdir: str) -> str:
    """Returns the result of a finished run, in a few lines."""
    test = "" if result.test_score is None else f"test {_told(result, 'test', result.test_score)}, "
    measured = f"validation {_told(result, 'validation', result.validation_score)}"
    if result.folds:
        low, high = result.folds["interval"]
        measured = f"out of {result.folds['number']} folds {result.validation_score:.4f} (95% interval {low:.3f} to {high:.3f})"
    parts = ", ".join(f"{part} {seconds:.0f}" for part, seconds in result.seconds.items())
    speed = f"; images per second: {result.images_per_second:.0f}" if result.images_per_second else ""
    exported = "".join(f", {workdir}/{export['path']}" for export in result.export)
    undone = "; fine-tuning made validation worse and is undone" if result.fine_tuning_undone else ""
    refitted = (
        f"; then again on all {result.refit['images']} {result.inputs} of training and validation"
        if result.refit
        else ""
    )
    report = pathlib.Path(workdir) / "report.html"
    look = f"open {report}; " if report.is_file() else ""
    a_new_one = "PHOTO" if result.noun is None else f'"A {result.noun.upper()}"'
    return (
        f"{in_words(result.score_name)}: {test}{measured}  "
        f"(kept: epoch {result.kept_epoch}, {result.kept_phase}{undone}{refitted})\n"
        f"{_compared(result)}"
        f"{_remarks(result)}"
        f"parameters: {result.parameters_trained:,} trained, {result.parameters_frozen:,} frozen\n"
        f"seconds: {result.total_seconds:.0f} ({parts}){speed}\n"
        f"wrote: {workdir}/model.keras{exported}, {workdir}/result.json\n"
        f"next: {look}python -m tl_keras.predict --model={workdir} {a_new_one}"
    )


def _told(result: RunResult, split: str, score: float) -> str:
    """Returns the score of a split, unless its images cannot tell it."""
    return f"{score:.4f}" if is_told(result, split) else "cannot be told"


def _remarks(result: RunResult) -> str:
    """Returns what the task and pseudo-labels say beside the score, a line each."""
    given = [result.pseudo_labels["says"]] if result.pseudo_labels else []
    return "".join(f"  {remark}\n" for remark in [*(result.measures or {}).get("remarks", []), *given])


def _compared(result: RunResult) -> str:
    """Returns a line on what the score of a result is to be compared with, and one if it was measured on few images."""
    facts = []
    of_folds = result.folds and result.split == "validation"  # whose interval stands behind their score
    if result.interval and is_told(result, result.split) and not of_folds:
        low, high = result.interval
        facts.append(f"95% interval of the {result.split} {result.inputs} {low:.3f} to {high:.3f}")
    if result.baseline_score is not None:
        one_answer = "always the most frequent class" if result.score_name == "accuracy" else "one answer for all"
        facts.append(f"{one_answer} {result.baseline_score:.4f}")
    if result.measures:
        from tl_keras.evaluation.beside_median import errors_beside_median

        facts += [each.describe() for each in errors_beside_median(result.measures)[:_MOST_NUMBERS]]
    if result.head_validation_score is not None and not result.folds:  # whose head was measured on other images
        facts.append(f"the head alone, validation {result.head_validation_score:.4f}")
    few = ""
    if result.interval and not result.folds:
        from tl_keras.evaluation.folds import advice_on_folds

        few = advice_on_folds(
            result.interval,
            images=result.images[result.split],
            split=result.split,
            score_name=in_words(result.score_name),
            inputs=result.inputs,
        )
    return "".join(f"  {line}\n" for line in ("; ".join(facts), few) if line)


if __name__ == "__main__":
    command_line.run(main, usage=__doc__, prepare=run_flags.prepare_arguments)
