"""Shows what transfer learning is worth, in two minutes, with no download.

    python -m tl_keras.demo --workdir=demo_run

The demo moves the embedded teacher to scikit-learn's digits with ten labelled images per class, by each of the three methods and
over several seeds, and prints them side by side. Then the exported SavedModel classifies a PNG in a process that imports
TensorFlow alone.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

from absl import flags

from tl_keras import command_line, path_flags
from tl_keras.config import quick_start
from tl_keras.errors import ExportError

_WORKDIR = path_flags.define("workdir", "demo_run", "Directory for a run directory per method and seed.")
_SEEDS = flags.DEFINE_integer("seeds", 2, "Number of runs of each method.", lower_bound=1)

_ASK = """
import sys, tensorflow as tf
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
answer = serve(image_bytes=tf.constant([open(sys.argv[2], "rb").read()]))
assert "tl_keras" not in sys.modules
print(answer["label"][0].numpy().decode(), f"{answer['score'][0].numpy():.3f}")
"""


def main(arguments: list[str]) -> None:
    """Prints the comparison and the answer on stdout."""
    del arguments
    command_line.require_tensorflow()
    from tl_keras.data.sources import open_source
    from tl_keras.experiments.comparison import compare, export_first_runs, method_variants, table

    print(
        f"training three methods with {_SEEDS.value} seeds each; {_WORKDIR.value}/METHOD/log.txt has the details",
        file=sys.stderr,
    )
    config = quick_start()
    config.training.epochs = 0  # chosen by the number of images
    config.strategy = "cpu"  # the images are small, and two processes would compete for a GPU
    variants = method_variants(config)
    for variant in variants:
        if variant.config.model.method == "replicate":
            # After 10, 20, 40, 60 and 80 epochs random weights reached 0.27, 0.35, 0.52, 0.60 and 0.61: this has converged.
            variant.config.training.epochs = 60
    rows = compare(
        variants,
        _WORKDIR.value,
        seeds=_SEEDS.value,
        processes=min(3, os.cpu_count() or 1),
        optimize_graphs=False,
    )
    print(table(rows, heading="method"))
    export_first_runs(rows[-1:], variants[-1:])

    run = rows[-1].workdirs[0]
    source, image = open_source("digits"), pathlib.Path(_WORKDIR.value, "digit.png")
    image.write_bytes(source.encoded_image(0))
    command = [sys.executable, "-c", _ASK, str(run / "saved_model" / "1"), str(image)]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        raise ExportError(
            f"export: expected an answer from {run}/saved_model/1. Received: {asked.stderr.strip()[-300:]}"
        )
    print(f"\n{image} shows a {source.class_names[source.labels[0]]}.")
    print(f"{run}/saved_model/1, asked with TensorFlow alone, answers: {asked.stdout.strip()}")
    print("Your own photos: python -m tl_keras.train --data=photos/ --workdir=run1")


if __name__ == "__main__":
    command_line.run(main, usage=__doc__)
