"""(b) An epoch of a partly frozen MobileNetV2 at block edges: frozen layers cached, against computed at every step.

The weights for 224 pixels at 160 pixels, on five flowers without augmentation; training and validation, the median of the epochs
after the first.
"""

from __future__ import annotations

import dataclasses
import statistics

from benchmarks.measuring import TEST_DATA, Options, Row, interleave

# The cut, what it is called, and the target.
_CUTS = (
    ("none", "pooled features", 30.0),
    ("blocks:2", "the last two blocks", 8.0),
    ("blocks:9", "half the blocks", 2.0),
)
_EPOCHS = {True: 12, False: 3}  # cached ones are short


def measure(options: Options) -> list[Row]:
    """Returns the ratios of seconds per epoch, computed to cached."""
    from tl_keras.command_line import require_tensorflow

    require_tensorflow()
    from tl_keras.config import TransferConfig
    from tl_keras.runs.directory import RunDirectory
    from tl_keras.training.loop import train_and_evaluate
    from tl_keras.training.model_cache import ModelCache

    flowers = TEST_DATA / "flowers5"
    weights = TEST_DATA / "keras_home/models/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    models = ModelCache()
    runs = 0

    def seconds_an_epoch(unfreeze: str, cached: bool) -> float:
        nonlocal runs
        runs += 1
        config = TransferConfig(export="none")
        config.data.source, config.data.augmentation = str(flowers), "none"
        config.model.weights, config.model.alpha, config.model.image_size = str(weights), 1.0, 160
        config.model.method = "feature_extraction" if unfreeze == "none" else "fine_tune"
        config.model.unfreeze = "" if unfreeze == "none" else unfreeze
        config.training.epochs, config.training.head_epochs = _EPOCHS[cached], 1
        config.cache = dataclasses.replace(config.cache, enabled=cached, folder=str(options.folder / "cache"))
        workdir = options.folder / f"epochs_{runs}"
        train_and_evaluate(config, workdir, models=models)
        epochs = RunDirectory(workdir).read_epochs()
        return statistics.median(epoch.seconds for epoch in epochs[-_EPOCHS[cached] + 1 :])

    rows = []
    for unfreeze, name, target in _CUTS:
        figures = interleave(
            {
                "computed": lambda unfreeze=unfreeze: seconds_an_epoch(unfreeze, cached=False),
                "cached": lambda unfreeze=unfreeze: seconds_an_epoch(unfreeze, cached=True),
            },
            repetitions=options.repetitions,
        )
        name = f"seconds per epoch, {name} ({unfreeze}): computed against cached"
        rows.append(Row(name, figures["computed"], figures["cached"], "s", target))
    return rows
