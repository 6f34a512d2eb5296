"""What the defaults come to on images unlike each other: `python -m benchmarks.defaults FOLDER [SET ...]`.

Each set of `benchmarks.sets` is trained by feature extraction and by fine-tuning, with the real MobileNetV2 and nothing else
given; prints their test accuracies. FOLDER gets the sets and the runs; what is finished there is not trained again.
"""

from __future__ import annotations

import os
import pathlib
import sys

from benchmarks.measuring import TEST_DATA
from benchmarks.sets import SETS, write_set

_METHODS = ("feature_extraction", "fine_tune")


def main(folder: pathlib.Path, names: list[str]) -> None:
    """Trains and prints a row a set."""
    os.environ["KERAS_HOME"] = str(TEST_DATA / "keras_home")
    from tl_keras.command_line import require_tensorflow

    require_tensorflow()
    import tl_keras
    from tl_keras.training.model_cache import ModelCache

    rows = [f"| set | training images | {' | '.join(_METHODS)} |", "|---|---|---|---|"]
    for name in names or SETS:
        models = ModelCache()
        results = []
        for method in _METHODS:
            config = tl_keras.TransferConfig()
            config.data.source, config.model.method = str(write_set(name, folder)), method
            config.export, config.cache.folder = "none", str(folder / "cache")
            results.append(tl_keras.train_and_evaluate(config, folder / f"{name}_{method}", models=models))
        accuracies = " | ".join(f"{result.test_accuracy:.3f}" for result in results)
        rows.append(f"| {name.replace('_', ' ')} | {results[0].images['train']} | {accuracies} |")
    print("\n".join(rows))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
