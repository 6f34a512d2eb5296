"""Chooses the images to label next: uncertain ones that stand for many, without copies and outliers, and what to expect of them.

    python -m tl_keras.label_next --workdir=run1 --data=unlabelled/ --count=50
    python -m tl_keras.label_next --data=unlabelled/ --classes=cat,dog            (the first labels of all, by coverage alone)

The command prints the images, the most useful first, and writes label_next/label_next.html, a page on which they are labelled by
keys and clicks, and label_next/label_next.json. The page saves labels.csv, the table of a run's labels and the new ones, for
--data=csv:labels.csv. No image is changed.
"""

from __future__ import annotations

import json
import pathlib

from absl import flags

from tl_keras import command_line, path_flags, source_flags
from tl_keras.errors import ConfigError
from tl_keras.files import require_writable, write_texts

_OF_A_BACKBONE = ("backbone", "weights", "significant_bits")
source_flags.define("cache_dir", "max_pixels", *_OF_A_BACKBONE, "seed")
_WORKDIR = path_flags.define("workdir", "", "A finished run, whose student says what it is unsure of; none at first.")
_COUNT = flags.DEFINE_integer("count", 50, "Number of images to label.", lower_bound=1)
_CLASSES = flags.DEFINE_list("classes", [], "Names of classes that the page offers, beside those of the run.")
_OUT = path_flags.define("out", "label_next", "Directory for label_next.html and label_next.json.")


def main(arguments: list[str]) -> None:
    """Prints the images on stdout, and writes the page."""
    if arguments or not flags.FLAGS.data:
        raise ConfigError("flags: expected --data=FOLDER of unlabelled images. Use --help to see the flags.")
    given = [name for name in _OF_A_BACKBONE if flags.FLAGS[name].present]
    if _WORKDIR.value and given:
        raise ConfigError(f"{given[0]}: expected none beside --workdir, whose own is used. Leave one of the two out.")
    config = source_flags.config_from_flags()
    out = pathlib.Path(_OUT.value)
    require_writable(out, option="out")
    command_line.require_tensorflow(reading=flags.FLAGS.data)
    from tl_keras.advice.candidates import preferred_candidate
    from tl_keras.config import resolve
    from tl_keras.labels.label_page import facts, page
    from tl_keras.labels.next_labels import plan_labels

    if not _WORKDIR.value:
        if not flags.FLAGS["backbone"].present:
            config.model = preferred_candidate().choose(config.model)
        config.model.method = "feature_extraction"  # whose view of an image training will use first
        config = resolve(config)
    plan = plan_labels(config, workdir=_WORKDIR.value, count=_COUNT.value)
    written = page(plan, classes=tuple(_CLASSES.value))
    for row in plan.chosen.tolist():
        guess = plan.guess(row)
        print(f"{plan.id_of(row)}  {guess[0]} {guess[1]:.2f}" if guess else plan.id_of(row))
    print("\n".join(f"- {fact}" for fact in facts(plan)))
    for each in plan.classes:
        print(f"  {each.name}: {each.labelled} labelled; the run takes {each.chosen} of those chosen for it")
    said = json.dumps(plan.to_json(), indent=1) + "\n"
    write_texts(out, {"label_next.json": said, "label_next.html": written}, option="out")
    print(f"wrote: {out / 'label_next.html'}, {out / 'label_next.json'}")


if __name__ == "__main__":
    command_line.run(main, usage=__doc__)
