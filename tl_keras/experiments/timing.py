"""Measures how long models take for one image, in turns, so that what slows the machine for a while meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from tl_keras.builder import build_backbone, choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.distribution.frozen_graph import frozen_graph

_TURNS = 15
_BATCH = 16
_SECONDS_A_TURN = 0.1


def milliseconds(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Returns the median milliseconds of each call, after one that warms it up.

    Args:
      calls: Functions of no argument, by name.
    """
    for call in calls.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(_TURNS):
        for name, call in calls.items():
            done, began = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - began) < _SECONDS_A_TURN or not done:
                call()
                done += 1
            taken[name].append(1000 * elapsed / done)
    return {name: float(np.median(each)) for name, each in taken.items()}


def images_per_second(backbone: str) -> float:
    """Returns how many images per second a backbone of the table takes here, at its own size, in batches.

    The weights are random, since they do not matter to it.

    Args:
      backbone: Name of the backbone.
    """
    network = build_backbone(choose_backbone(ModelConfig(backbone=backbone, weights="none")))
    images = tf.zeros((_BATCH, *network.input_shape[1:]))
    graph = frozen_graph(network)
    return 1000 * _BATCH / milliseconds({backbone: lambda: graph(images)})[backbone]


def call_on_one_image(model: keras.Model) -> Callable[[], object]:
    """Returns a function that computes a model for one image, as a constant graph of TensorFlow with folded normalisation."""
    graph, (taken,) = frozen_graph(model), model.inputs
    image = tf.zeros((1, *(each or 1 for each in taken.shape[1:])), taken.dtype)
    return lambda: graph(image)
