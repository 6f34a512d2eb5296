"""(e) A training step with all weights trained: tl_keras's trainer against PyTorch, AdamW, batches of 32.

Both keep batch normalisation in training mode and start from random weights: the numbers of operations are the same.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
from collections.abc import Callable

from benchmarks.measuring import Options, Row, answer_requests, answering, interleave, per_second

# Keras's name, timm's name.
_NETWORKS = (("MobileNetV2", "mobilenetv2_100"), ("ResNet50", "resnet50"))
_PIXELS = (160, 224)
_BATCH_SIZE = 32
_NUM_CLASSES = 5
_SECONDS = 3.0


def measure(options: Options) -> list[Row]:
    """Returns the ratios of images per second; none without PyTorch."""
    if not options.torch_python:
        print("no --torch_python: there is nothing to measure against", file=sys.stderr)
        return []
    rows = []
    for keras_name, timm_name in _NETWORKS:
        for pixels in _PIXELS:
            figures = _measure(keras_name, timm_name, pixels, options.torch_python, options.repetitions)
            best = max((name for name in figures if name != "ours"), key=lambda name: statistics.median(figures[name]))
            name = f"{keras_name} {pixels} px: training step, against PyTorch's best, {best}"
            rows.append(Row(name, figures["ours"], figures[best], "images/s", 0.9))
    return rows


def _measure(keras_name: str, timm_name: str, pixels: int, torch: str, repetitions: int) -> dict[str, list[float]]:
    commands = {"ours": [sys.executable, "-m", __name__, keras_name, str(pixels)]}
    for kind in ("float32", "float32-compiled"):
        peer = [torch, "-m", "benchmarks.torch_peer", "train", timm_name, str(pixels), str(_BATCH_SIZE), kind]
        commands[kind] = peer
    with contextlib.ExitStack() as stack:
        measurements = {name: stack.enter_context(answering(command)) for name, command in commands.items()}
        return interleave(measurements, repetitions=repetitions)


def _step(name: str, pixels: int) -> Callable[[], object]:
    """Returns a step of the trainer that a run of `--method=replicate` makes: all weights train, and all statistics."""
    from tl_keras.command_line import require_tensorflow

    require_tensorflow()
    import keras
    import numpy as np

    from tl_keras.builder import choose_backbone
    from tl_keras.config import TransferConfig, resolve
    from tl_keras.distribution.distributor import open_distributor
    from tl_keras.distribution.hardware import resolve_hardware
    from tl_keras.tasks.loss_recipe import LossRecipe
    from tl_keras.tasks.single_label import SINGLE_LABEL
    from tl_keras.training.model_cache import ModelCache
    from tl_keras.training.phases import plan_phases

    config = TransferConfig()
    config.model.backbone, config.model.weights, config.model.method = name, "none", "replicate"
    config.model.image_size, config.data.source = pixels, "digits"  # which images does not matter
    config = resolve(config)
    models = ModelCache()
    student = models.student(choose_backbone(config.model), config.model, num_classes=_NUM_CLASSES, seed=0)
    plan = plan_phases(config, student, images=_BATCH_SIZE)[0].plan
    distributor = open_distributor(resolve_hardware("auto"))
    trainer = models.trainer(
        student,
        plan,
        config.training,
        on_features=False,
        loss=LossRecipe(),
        task=SINGLE_LABEL,
        distributor=distributor,
    )
    trainer.optimizer.begin(learning_rate=1e-3, steps=1000, warmup_fraction=0.1)
    images = np.random.default_rng(0).uniform(0, 255, (_BATCH_SIZE, pixels, pixels, 3)).astype(np.float32)
    labels = keras.utils.to_categorical(np.arange(_BATCH_SIZE) % _NUM_CLASSES, _NUM_CLASSES)
    with distributor.fitting(trainer):  # in which the step is traced
        for _ in range(2):
            trainer.train_on_batch(images, labels)
    return lambda: trainer.train_on_batch(images, labels)


if __name__ == "__main__":
    step = _step(sys.argv[1], int(sys.argv[2]))
    answer_requests(lambda: per_second(step, amount=_BATCH_SIZE, seconds=_SECONDS))
