"""Trains by one of the three methods, for a program: `fine_tune`, `feature_extraction` and `replicate`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from tl_keras.config import Method, ModelConfig, from_json, set_value, to_json
from tl_keras.console import say
from tl_keras.heads import layers_to_json
from tl_keras.pieces.labelled_data import as_data
from tl_keras.pieces.options import VIEWS, options_of_views, set_options
from tl_keras.pieces.run import Run, unused_directory
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.optimizers import optimizer_to_json
from tl_keras.training.own_parts import Augment, OwnParts

_OTHERS = (
    *("seed", "strategy", "replicas", "precision", "price_per_hour", "export"),
    *(f"data.{name}" for name in ("train_examples_per_class", *VIEWS)),
)

Callbacks = Iterable[keras.callbacks.Callback]
Layers = Sequence[keras.layers.Layer]
Workdir = str | os.PathLike[str]


def fine_tune(
    data: Any,
    workdir: Workdir = "",
    *,
    backbone: str = ModelConfig.backbone,
    unfreeze: str = "",
    epochs: int = 0,
    head: Layers = (),
    optimizer: keras.optimizers.Optimizer | str = "",
    augmentation: str | Augment = "",
    callbacks: Callbacks = (),
    **options: Any,
) -> Run:
    """Trains a new head, then also layers of a pre-trained backbone at a small rate, all of them by default.

    Example:
      ```python
      import keras
      import tensorflow as tf

      import tl_keras as tl


      def brighter(image, seed):
          return tf.clip_by_value(image + tf.random.stateless_uniform((), seed, -30.0, 30.0), 0.0, 255.0)


      run = tl.fine_tune(
          "photos/",
          "tuned",
          backbone="teacher.keras",  # or a name, such as MobileNetV2
          unfreeze="blocks:1",
          epochs=1,
          head_epochs=1,
          head=[keras.layers.Dense(16, activation="relu"), keras.layers.Dropout(0.3)],
          optimizer=keras.optimizers.SGD(0.05, momentum=0.9),
          augmentation=brighter,
          callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["val_accuracy"]))],
      )
      print(run.result.own_parts)  # the callback and the function, which config.json names and cannot make again
      ```

    Args:
      data: Images as `tl_keras.load_data` takes or returns them.
      workdir: Directory of the run, which is resumed if it has begun; empty for a new one below `runs/`.
      backbone: Pre-trained backbone: a name that `python -m tl_keras.backbones` lists, or a `.keras` file.
      unfreeze: Layers of it that train: `all`, `blocks:2`, `layers:30`, `fraction:0.25`, `from:NAME` or `regex:R`; empty for the
        default: all of them, and 70% for texts and numbers.
      epochs: Passes over the training images in the last phase; 0: by their number.
      head: Layers of Keras between the pooled features, float32 (batch, feature_dim), and the logits, whose own layer is added.
        They are made again from their configs, without weights.
      optimizer: Optimizer of Keras, or its name, in place of AdamW with warm-up and cosine; it is made again for each phase, and
        in the second its rate is multiplied by `fine_tune_learning_rate_factor`.
      augmentation: `none`, `light` or `strong`, or a function of an image, float32 (image_size, image_size, 3), 0 to 255, and a
        seed, int32 (2,), to such an image.
      callbacks: Callbacks of Keras, called in every phase. Their `model` is what the phase trains: above cached layers, without
        them.
      **options: Other options, by the names that docs/options.md lists, such as `batch_size`, `learning_rate`, `seed` or `export`;
        here `export` is `none` unless it is given.

    Returns:
      The finished run.

    Raises:
      ConfigError: An option is unknown, or does not work with another.
      TransferError: An error of one of its classes, whose message is one line with what was expected, received, and the remedy.
    """
    return _train(
        "fine_tune",
        data,
        workdir,
        {"backbone": backbone, "unfreeze": unfreeze, "epochs": epochs, **options},
        head=head,
        optimizer=optimizer,
        augmentation=augmentation,
        callbacks=callbacks,
    )


def feature_extraction(
    data: Any,
    workdir: Workdir = "",
    *,
    backbone: str = ModelConfig.backbone,
    epochs: int = 0,
    head: Layers = (),
    optimizer: keras.optimizers.Optimizer | str = "",
    augmentation: str | Augment = "",
    callbacks: Callbacks = (),
    **options: Any,
) -> Run:
    """Trains a new head on a pre-trained backbone, all of which stays as it is.

    Example:
      ```python
      import tl_keras as tl

      run = tl.feature_extraction("photos/", "extracted", backbone="teacher.keras", epochs=2)
      print(run.result.validation_accuracy)
      ```

    Args:
      data: Images; this and the others as in `tl_keras.fine_tune`.
      workdir: Directory of the run.
      backbone: Pre-trained backbone.
      epochs: Passes over the training images; 0: by their number.
      head: Layers between the pooled features and the logits.
      optimizer: Optimizer in place of AdamW.
      augmentation: Preset, or function of an image and a seed.
      callbacks: Callbacks of Keras.
      **options: Other options.

    Returns:
      The finished run.

    Raises:
      ConfigError: An option is unknown, or does not work with another.
    """
    return _train(
        "feature_extraction",
        data,
        workdir,
        {"backbone": backbone, "epochs": epochs, **options},
        head=head,
        optimizer=optimizer,
        augmentation=augmentation,
        callbacks=callbacks,
    )


def replicate(
    data: Any,
    workdir: Workdir = "",
    *,
    backbone: str = ModelConfig.backbone,
    epochs: int = 0,
    head: Layers = (),
    optimizer: keras.optimizers.Optimizer | str = "",
    augmentation: str | Augment = "",
    callbacks: Callbacks = (),
    **options: Any,
) -> Run:
    """Trains the backbone's architecture from random weights: the measure of what its pre-trained weights are worth.

    Example:
      ```python
      import tl_keras as tl

      run = tl.replicate("photos/", "replicated", backbone="teacher.keras", epochs=1)
      print(run.result.method)
      ```

    Args:
      data: Images; this and the others as in `tl_keras.fine_tune`.
      workdir: Directory of the run.
      backbone: Backbone whose architecture is trained.
      epochs: Passes over the training images; 0: by their number.
      head: Layers between the pooled features and the logits.
      optimizer: Optimizer in place of AdamW.
      augmentation: Preset, or function of an image and a seed.
      callbacks: Callbacks of Keras.
      **options: Other options.

    Returns:
      The finished run.

    Raises:
      ConfigError: An option is unknown, or does not work with another.
    """
    return _train(
        "replicate",
        data,
        workdir,
        {"backbone": backbone, "epochs": epochs, **options},
        head=head,
        optimizer=optimizer,
        augmentation=augmentation,
        callbacks=callbacks,
    )


def _train(
    method: Method,
    data: Any,
    workdir: Workdir,
    chosen: dict[str, Any],
    *,
    head: Layers,
    optimizer: Any,
    augmentation: str | Augment,
    callbacks: Callbacks,
) -> Run:
    """Trains by a method; `chosen` has options by their names, the others are those of `fine_tune`."""
    data = as_data(data)
    config = from_json(to_json(data.config))
    config.model.method, config.export = method, "none"
    set_options(config, chosen, parts=("model", "training", "cache", "decision"), others=_OTHERS, function=method)
    if optimizer != "":
        config.training.optimizer = optimizer_to_json(optimizer)
    if head:
        config.model.head_layers = layers_to_json(head.layers if isinstance(head, keras.Sequential) else head)
    function = augmentation if callable(augmentation) else None
    set_value(config, "data.augmentation", "own" if callable(augmentation) else augmentation)
    if not workdir:
        workdir = unused_directory(f"runs/{method}")
        say(f"workdir: {workdir}")
    split_alike = (config.seed, config.data) == (
        data.config.seed,
        dataclasses.replace(data.config.data, **options_of_views(config)),
    )
    train_and_evaluate(
        config,
        workdir,
        source=data.source,
        models=data.models,
        images=data.images if split_alike else None,
        own_parts=OwnParts(tuple(callbacks), function),
    )
    return Run(workdir, data=data)
