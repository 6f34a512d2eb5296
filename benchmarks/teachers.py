"""The leaderboard of teachers: real ones on several sets, and how well the advice ranks them.

    python -m benchmarks.teachers FOLDER [--sets=flowers,leaves] [--teachers=MobileNetV2,EfficientNetLite2] [--seeds=3]
    python -m benchmarks.teachers --page > docs/teachers.md

For each set, teacher and seed, a probe estimates the accuracy on training images alone, as the advice does; then a head is
trained by `feature_extraction` with the defaults, and measured on the test images. With --fine_tune=2 two small teachers are
fine-tuned too. Killed, the same command goes on; every row is written as it comes, to
`benchmarks/results/teachers/teachers.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys
import time
from typing import Any

import numpy as np

from benchmarks.measuring import TEST_DATA, machine
from benchmarks.sets import SETS, write_set

RESULTS = pathlib.Path(__file__).parent / "results" / "teachers" / "teachers.json"
TEACHERS = (
    *("MobileNetV2:embedded", "MobileNet:0.25", "MobileNetV2:0.35", "MobileNet:0.5"),
    *("MobileNetV2", "EfficientNetLite0", "EfficientNetLite2"),
)
CHOSEN_SETS = (
    *("flowers", "few_grey_flowers", "elongated_flowers", "textures"),
    *("views_from_above", "gestures", "leaves"),
)

_INTRODUCTION = """\
# Teachers, measured

Written by `python -m benchmarks.teachers --page` from `benchmarks/results/teachers/teachers.json`. Each teacher is frozen,
gets a new head by the defaults (`--method=feature_extraction`), and is measured on test images; seeds, which draw the head and the
split between training and validation: {seeds}. Behind ± are two standard errors, of the test images and of the seeds. The sets are
small and made of the test data (`benchmarks/sets.py`): some are near ImageNet, some far. "In print" is the published ImageNet
accuracy. Seconds are those of features and head, the sum over all sets, on {machine}, busy with other work.
{measured}
"""

_RANKING = """
## How well the advice ranks them

Before a teacher is trained, `advise` and `--backbone=auto` expect an accuracy of it: by the probabilities that a linear probe gives
the right classes, on folds of the training images, combined with the published accuracies as far as the probes agree with them
(`tl_keras/advice/published_prior.py`). Tau is the weighted Kendall correlation of what is expected, for each seed, with the mean
test accuracies; regret is what the best teacher has on the test images beyond the one that is taken, in points. "Clear pairs":
of the pairs of teachers whose test accuracies differ by more than two standard errors, so that chance does not order them, how
many the advice has in the right order. Beside it the part of the answers that a probe has right, and the ranking in print alone.
The rule of the advice was chosen on other draws of flowers, gestures and leaves (benchmarks/DIARY.md).

| set | advice: tau | regret | clear pairs | probe's accuracy: tau | regret | in print: tau | regret |
|---|---|---|---|---|---|---|---|"""


def measure(
    name: str, teachers: list[str], folder: pathlib.Path, *, seeds: int, fine_tune: int, found: dict[str, Any]
) -> None:
    """Adds to `found` what is not there yet of a set: of each teacher and seed the advice's estimate, then the test accuracy."""
    from tl_keras.advice.candidates import parse_candidate
    from tl_keras.advice.teacher_scores import draw_sample, pooled_features
    from tl_keras.config import TransferConfig
    from tl_keras.training.loop import train_and_evaluate
    from tl_keras.training.model_cache import ModelCache

    def config_of(teacher: str, method: str, seed: int) -> TransferConfig:
        config = TransferConfig(export="none", seed=seed)
        config.data.source, config.cache.folder = str(write_set(name, folder)), str(folder / "cache")
        config.model = parse_candidate(teacher).choose(config.model)
        config.model.method, config.model.resize = method, "squash"
        return config

    rows = found["sets"].setdefault(name, {"teachers": {}})
    for teacher in teachers:
        row, models = rows["teachers"].setdefault(teacher, {"runs": []}), ModelCache()
        pooled = None
        for seed in range(seeds):
            if seed < len(row["runs"]) and "likely" in row["runs"][seed]:
                continue
            config = config_of(teacher, "feature_extraction", seed)
            sample = draw_sample(config, models)
            if pooled is None:
                began, every_image = time.perf_counter(), np.arange(len(sample.source))
                pooled = pooled_features(
                    parse_candidate(teacher), config, sample.source, sample.inspection, every_image
                )
                row.setdefault("feature_seconds", time.perf_counter() - began)
                (folder / "pooled").mkdir(exist_ok=True)
                np.savez(folder / "pooled" / f"{name} {teacher}.npz", pooled=pooled, labels=sample.source.labels)
            probe = sample.probe(pooled[sample.indices], seed=seed)
            if seed == len(row["runs"]):
                result = train_and_evaluate(config, _workdir(folder, name, teacher, seed), models=models)
                seconds = sum(result.seconds.values())
                row["runs"].append({"accuracy": result.test_accuracy, "seconds": seconds, "images": result.images})
            row["runs"][seed] |= {
                "estimate": probe.accuracy,
                "right": "".join(map(str, probe.right.astype(int))),
                "likely": " ".join(map(str, np.round(1000 * probe.degrees).astype(int))),
            }
            save(found)
            print(name, teacher, seed, row["runs"][seed]["accuracy"], probe.accuracy, file=sys.stderr, flush=True)
        if teacher in teachers[1 : 1 + fine_tune] and "fine_tune" not in row:
            result = train_and_evaluate(
                config_of(teacher, "fine_tune", 0), _workdir(folder, name, teacher, "fine_tune")
            )
            row["fine_tune"] = {"accuracy": result.test_accuracy, "seconds": sum(result.seconds.values())}
            save(found)


def _workdir(folder: pathlib.Path, name: str, teacher: str, run: int | str) -> pathlib.Path:
    return folder / "runs" / name / f"{teacher.replace(':', '_')}_{run}"


def save(found: dict[str, Any]) -> None:
    """Writes the results."""
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def expected(rows: dict[str, Any], seed: int) -> dict[str, np.ndarray]:
    """Returns what three rules expect of the teachers from a seed's training images, float (teachers,); each takes the best."""
    from tl_keras.advice.candidates import parse_candidate
    from tl_keras.advice.published_prior import expected_accuracies

    teachers = rows["teachers"]
    right = np.array([[int(each) for each in row["runs"][seed]["right"]] for row in teachers.values()], bool)
    likely = np.array([row["runs"][seed]["likely"].split() for row in teachers.values()], float) / 1000
    published = np.array([parse_candidate(name).published_top1 for name in teachers])
    return {
        "advice": expected_accuracies(right, likely, published),
        "probe": right.mean(axis=1),
        "print": published,
    }


def ranking(rows: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Returns the weighted Kendall tau and the regret of each rule of `expected`, means over the seeds."""
    from scipy.stats import weightedtau

    measured = np.array([accuracy(rows, teacher) for teacher in rows["teachers"]])
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(_seeds(rows)):
        for rule, accuracies in expected(rows, seed).items():
            tau = float(weightedtau(accuracies, measured).statistic)
            found.setdefault(rule, []).append((tau, float(measured.max() - measured[accuracies.argmax()])))
    return {rule: (float(np.mean(pairs, axis=0)[0]), float(np.mean(pairs, axis=0)[1])) for rule, pairs in found.items()}


def clear_pairs(rows: dict[str, Any]) -> tuple[int, int]:
    """Returns how many pairs of teachers that the test images tell apart the advice has in the right order, and of how many."""
    runs = [row["runs"] for row in rows["teachers"].values()]
    measured = np.array([np.mean([run["accuracy"] for run in each]) for each in runs])
    errors = np.array([_standard_error(each) for each in runs])
    forecast = np.mean([expected(rows, seed)["advice"] for seed in range(_seeds(rows))], axis=0)
    differences = measured[:, None] - measured
    clear = differences > 2 * np.hypot(errors[:, None], errors)
    return int((clear & (forecast[:, None] > forecast)).sum()), int(clear.sum())


def page(found: dict[str, Any]) -> str:
    """Returns `docs/teachers.md`."""
    whole = {name: rows for name, rows in found["sets"].items() if _seeds(rows)}
    measured = f"{len(whole)} of {len(CHOSEN_SETS)} sets {'is' if len(whole) == 1 else 'are'} measured."
    teachers, where = list(next(iter(whole.values()))["teachers"]), found["machine"]
    seeds = sorted({_seeds(rows) for rows in whole.values()})
    lines = [
        _INTRODUCTION.format(
            machine=f"{where['processor']}, {where['cores']} cores",
            measured=measured,
            seeds=" or ".join(map(str, seeds)),
        ),
        f"| teacher | in print | {' | '.join(name.replace('_', ' ') for name in whole)} | mean | seconds |",
        "|---" * (len(whole) + 4) + "|",
    ]
    from tl_keras.advice.candidates import parse_candidate

    for teacher in sorted(teachers, key=lambda each: -np.mean([accuracy(rows, each) for rows in whole.values()])):
        published = parse_candidate(teacher).published_top1
        seconds = sum(_seconds(rows["teachers"][teacher]) for rows in whole.values())
        mean = np.mean([accuracy(rows, teacher) for rows in whole.values()])
        cells = " | ".join(_cell(rows["teachers"][teacher]) for rows in whole.values())
        lines.append(
            f"| {teacher} | {f'{published:.3f}' if published else ''} | {cells} | {mean:.3f} | {seconds:.0f} |"
        )
    lines.append(_RANKING)
    by_set = {name: ranking(rows) for name, rows in whole.items()}
    clear = {name: clear_pairs(rows) for name, rows in whole.items()}
    for name, rules in by_set.items():
        lines.append(f"| {name.replace('_', ' ')} | {_of_rules(rules, clear[name])} |")
    mean_of = {
        rule: tuple(np.nanmean([rules[rule] for rules in by_set.values()], axis=0))
        for rule in ("advice", "probe", "print")
    }
    sums = sum(right for right, _ in clear.values()), sum(pairs for _, pairs in clear.values())
    lines.append(f"| mean | {_of_rules(mean_of, sums)} |")
    tuned = [(n, t, row) for n, rows in whole.items() for t, row in rows["teachers"].items() if "fine_tune" in row]
    if not tuned:
        lines += ["", "Fine-tuned teachers are not measured."]
    else:
        lines += [
            "",
            "## Fine-tuned",
            "",
            "| set | teacher | frozen | fine-tuned, seed 0 | seconds |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {name.replace('_', ' ')} | {teacher} | {_cell(row)} | {row['fine_tune']['accuracy']:.3f} | "
            f"{row['fine_tune']['seconds']:.0f} |"
            for name, teacher, row in tuned
        ]
    return "\n".join(lines) + "\n"


def _seeds(rows: dict[str, Any]) -> int:
    """Returns the number of seeds that every teacher has."""
    return min(len(rows["teachers"].get(each, {"runs": []})["runs"]) for each in TEACHERS)


def accuracy(rows: dict[str, Any], teacher: str) -> float:
    """Returns the mean test accuracy of a teacher over the seeds."""
    return float(np.mean([run["accuracy"] for run in rows["teachers"][teacher]["runs"]]))


def _seconds(row: dict[str, Any]) -> float:
    return row["feature_seconds"] + float(np.mean([run["seconds"] for run in row["runs"]]))


def _cell(row: dict[str, Any]) -> str:
    """Returns a mean accuracy and twice its standard error: of the choice of the test images, and of the seeds."""
    return f"{np.mean([run['accuracy'] for run in row['runs']]):.3f} ± {2 * _standard_error(row['runs']):.3f}"


def _standard_error(runs: list[dict[str, Any]]) -> float:
    accuracies = np.array([run["accuracy"] for run in runs])
    mean, images = accuracies.mean(), runs[0]["images"]["test"]
    of_seeds = accuracies.var(ddof=1) / len(accuracies) if len(accuracies) > 1 else 0.0
    return float(np.sqrt(mean * (1 - mean) / images + of_seeds))


def _of_rules(rules: dict[str, tuple[float, float]], clear: tuple[int, int]) -> str:
    advice, *others = (f"{rules[rule][0]:.2f} | {100 * rules[rule][1]:.1f}" for rule in ("advice", "probe", "print"))
    return " | ".join([advice, f"{clear[0]} of {clear[1]}", *others])


def main(arguments: list[str]) -> None:
    """Measures what is missing, or prints the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, nargs="?")
    parser.add_argument("--sets", default=",".join(CHOSEN_SETS))
    parser.add_argument("--teachers", default=",".join(TEACHERS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--fine_tune", type=int, default=0)
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args(arguments)
    found = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"machine": machine(), "sets": {}}
    if options.page:
        print(page(found), end="")
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    os.environ["KERAS_HOME"] = str(TEST_DATA / "keras_home")
    from tl_keras.command_line import require_tensorflow

    require_tensorflow()
    for name in options.sets.split(","):
        if name not in SETS:
            parser.error(f"sets: expected some of {', '.join(SETS)}. Received: {name}")
        chosen = options.teachers.split(",")
        measure(name, chosen, options.folder, seeds=options.seeds, fine_tune=options.fine_tune, found=found)


if __name__ == "__main__":
    main(sys.argv[1:])
