"""Writes the page of a finished run, or one that compares several runs: one HTML file that needs no network.

    python -m tl_keras.report run1                              writes run1/report.html
    python -m tl_keras.report run1 run2 run3 --out=three.html   compares them

The page of one run shows images that it held out, so they must be in their place. A comparison reads only the run
directories.
"""

from __future__ import annotations

from tl_keras import command_line, path_flags
from tl_keras.errors import ConfigError

_OUT = path_flags.define(
    "out", "", "Path of the page; by default report.html in the run directory, or comparison.html here."
)


def main(arguments: list[str]) -> None:
    """Prints the path of the page on stdout."""
    if not arguments:
        raise ConfigError(
            "report: expected one or more run directories. Received: none. Use python -m tl_keras.report RUN."
        )
    if len(arguments) > 1:
        from tl_keras.reporting.comparison_report import write_comparison

        print(f"wrote: {write_comparison(arguments, _OUT.value or 'comparison.html')}")
        return

    command_line.require_tensorflow()
    from tl_keras.reporting.run_report import write_report

    print(f"wrote: {write_report(arguments[0], _OUT.value)}")


if __name__ == "__main__":
    command_line.run(main, usage=__doc__)
