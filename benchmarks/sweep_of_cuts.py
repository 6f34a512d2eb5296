"""(f) A sweep over five cuts against five runs of `train`, each in a process and with a cache of its own; the same results?

The real MobileNetV2 on five flowers, the same seed and epochs. Both commands with what they do unless told otherwise: each of
the separate runs, and of the sweep's the chosen one, is exported and gets its page.
"""

from __future__ import annotations

import json
import sys

from benchmarks.measuring import TEST_DATA, Options, Row, environment, interleave, seconds_of
from tl_keras.runs.directory import RunDirectory

_CUTS = ("none", "blocks:1", "blocks:2", "blocks:4", "blocks:6")


def measure(options: Options) -> list[Row]:
    """Returns the ratio of seconds, and how many validation images the two answer differently."""
    flowers = TEST_DATA / "flowers5"
    shared = [f"--data={flowers}", "--epochs=10"]
    turns = {"sweep": 0, "runs": 0}
    differences: list[float] = []

    def sweep() -> float:
        turns["sweep"] += 1
        workdir = options.folder / f"sweep_{turns['sweep']}"
        command = [
            sys.executable,
            "-m",
            "tl_keras.sweep",
            *shared,
            f"--workdir={workdir}",
            f"--cache_dir={workdir}_cache",
        ]
        return seconds_of([*command, f"--unfreeze={','.join(_CUTS)}"], environment())

    def runs() -> float:
        turns["runs"] += 1
        seconds = 0.0
        for number, cut in enumerate(_CUTS):
            workdir = options.folder / f"run_{turns['runs']}_{number}"
            how = ["--method=feature_extraction"] if cut == "none" else ["--method=fine_tune", f"--unfreeze={cut}"]
            command = [sys.executable, "-m", "tl_keras.train", *shared, *how]
            seconds += seconds_of([*command, f"--workdir={workdir}", f"--cache_dir={workdir}_cache"], environment())
            alone = RunDirectory(workdir).require_result()
            row = json.loads((options.folder / f"sweep_{turns['sweep']}" / "sweep.json").read_text())["rows"][number]
            difference = alone.validation_accuracy - row["validation_accuracy"][0]
            differences.append(abs(difference) * alone.images["validation"])
        return seconds

    seconds = interleave({"sweep": sweep, "runs": runs}, repetitions=options.repetitions)
    return [
        Row(f"seconds, five cuts ({', '.join(_CUTS)}): sweep against separate runs", **_pair(seconds), at_most=True),
        Row(
            "validation images whose count differs between the two, at most",
            [max(differences)],
            [1.0],
            "images",
            1.0,
            at_most=True,
        ),
    ]


def _pair(seconds: dict[str, list[float]]) -> dict:
    return {"numerator": seconds["sweep"], "denominator": seconds["runs"], "unit": "s", "target": 0.4}
