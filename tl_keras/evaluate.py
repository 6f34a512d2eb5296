"""Measures a trained student: accuracy, top-5, and precision and recall for each class.

    python -m tl_keras.evaluate --model=run1 --data=photos/test_set/
    python -m tl_keras.evaluate --model=run1/saved_model --data=csv:labels.csv --split=test --json

--model is a run directory, a .keras file or the directory of an export, such as run1/litert; --data is any source that `train`
takes.
"""

from __future__ import annotations

import json
import sys

from absl import flags

from tl_keras import command_line, path_flags, source_flags
from tl_keras.config import ANSWERED_VIEWS
from tl_keras.data.options import SourceOptions
from tl_keras.errors import ConfigError

_MODEL = path_flags.define("model", None, "A run directory, a .keras file or the directory of an export.")
source_flags.define("max_pixels", "costs", "refuse_below")
_SPLIT = flags.DEFINE_string(
    "split", "", "train, validation or test; by default test if the source declares it, else everything."
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Number of images at a time.", lower_bound=1)
_VIEWS = flags.DEFINE_enum(
    "test_time_augmentation",
    "none",
    ANSWERED_VIEWS,
    "Average the answers for an image and its mirror image, or for its middle and four corners: twice or five times the work.",
)
_JSON = flags.DEFINE_boolean("json", False, "Print JSON.")


def main(arguments: list[str]) -> None:
    """Prints the measures on stdout."""
    if arguments or not _MODEL.value or not flags.FLAGS.data:
        raise ConfigError("flags: expected --model=RUN_DIRECTORY and --data=SOURCE. Use --help to see the flags.")
    config = source_flags.config_from_flags()
    command_line.require_tensorflow(reading=flags.FLAGS.data)
    from tl_keras.experiments.measure import as_text, evaluate_model

    metrics = evaluate_model(
        _MODEL.value,
        config.data.source,
        split=_SPLIT.value,
        options=SourceOptions.of(config),
        max_pixels=config.data.max_pixels,
        batch_size=_BATCH_SIZE.value,
        decision=config.decision,
        views=_VIEWS.value,
    )
    for note in metrics["notes"]:
        print(f"data: {note}", file=sys.stderr)
    print(json.dumps(metrics, indent=1) if _JSON.value else as_text(metrics))


if __name__ == "__main__":
    command_line.run(main, usage=__doc__)
