"""All measurements in one go: `python -m benchmarks [PART ...]`, or `make bench`.

Each part is a module of this package with `measure(options) -> list[Row]`. What is named is measured, or everything. Prints a
table a part on stdout, and writes benchmarks/results/PART.json with machine, versions and every single figure.
"""

from __future__ import annotations

import argparse
import importlib
import pathlib
import sys
import tempfile

from benchmarks.measuring import Options, report

# In the order of the letters by which docs/benchmarks.md calls them.
PARTS = (
    "frozen_run",
    "cached_epochs",
    "forward",
    "input_pipeline",
    "fine_tune_step",
    "sweep_of_cuts",
    "memory",
    "serving",
    "whole_run",
    "honest_runs",
    "start_up",
    "bulk_prediction",
    "five_folds",
    "serving_load",
)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}; all unless given")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument(
        "--first_seed", type=int, default=0, help="where a repetition is a seed: to go on with more of them"
    )
    parser.add_argument("--torch_python", help="an interpreter with torch and timm; without it their rows are left out")
    parser.add_argument("--results", type=pathlib.Path, default=pathlib.Path("benchmarks/results"))
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"expected any of {', '.join(PARTS)}. Received: {', '.join(sorted(unknown))}.")
    with tempfile.TemporaryDirectory(prefix="tl_keras_bench_") as folder:
        options = Options(pathlib.Path(folder), arguments.repetitions, arguments.torch_python, arguments.first_seed)
        for part in arguments.parts or PARTS:
            module = importlib.import_module(f"benchmarks.{part}")
            print(f"\n{(module.__doc__ or '').splitlines()[0]}\n", flush=True)
            rows = module.measure(options)
            report(
                rows, arguments.results / f"{part}.json", peers=[options.torch_python] if options.torch_python else []
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
