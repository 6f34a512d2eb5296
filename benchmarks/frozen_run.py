"""(a) Ten frozen epochs on five flowers, whole processes, against the Keras guide's script with its `.cache()`.

Both have the real MobileNetV2, 224 pixels, batches of 32; both validate every epoch and measure the test photos at the end;
neither exports. A repetition is a seed. Ours runs cold (nothing is cached) and warm (another run has left its features).
"""

from __future__ import annotations

from benchmarks.measuring import Options, Row, interleave
from benchmarks.whole_run import TEN_FROZEN, Processes


def measure(options: Options) -> list[Row]:
    """Returns the ratios of seconds, guide to ours, and of accuracies, ours to the guide's."""
    processes = Processes(options, fine_tune=False)
    seconds = interleave(
        {
            "guide": processes.guide,
            "cold": lambda: processes.run("cold", *TEN_FROZEN),
            "warm": lambda: processes.run("warm", *TEN_FROZEN),
        },
        repetitions=options.repetitions,
    )
    frozen = [each["frozen_accuracy"] for each in processes.guides]
    guide_reached, ours_reached = processes.seconds_to_accuracy()
    return [
        Row("ten frozen epochs, cold: the guide against ours", seconds["guide"], seconds["cold"], "s", 8),
        Row("the same, warm", seconds["guide"], seconds["warm"], "s", 15),
        Row(
            "test accuracy, ten frozen epochs: ours against the guide's", processes.accuracies("cold"), frozen, "", 0.99
        ),
        Row(
            "seconds after the imports to validation accuracy 0.8: the guide against ours, cold",
            guide_reached,
            ours_reached,
            "s",
            8,
        ),
    ]
