"""Estimates BatchNorm's statistics again on the new images, without gradients."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tl_keras.freezing import FreezePlan

# Number of images beyond which the statistics no longer change.
_BATCHES = 100


def recalibrate(trainer: keras.Model, plan: FreezePlan, backbone: keras.Model, batches: tf.data.Dataset) -> None:
    """Sets each BatchNorm in the layers that a plan trains to the mean of its batch statistics over the new images.

    Each image counts alike: a last batch of one image has no more weight than an image of a full batch.

    Args:
      trainer: Model over the student's layers.
      plan: Layers that train; their BatchNorm is frozen again afterwards.
      backbone: Backbone of the student.
      batches: Dataset of (input of the trainer, labels), as training sees them.
    """
    layers = plan.frozen_batch_norms(backbone)
    momenta = [layer.momentum for layer in layers]
    statistics = [statistic for layer in layers for statistic in (layer.moving_mean, layer.moving_variance)]
    for layer in layers:
        layer.trainable, layer.momentum = True, 0.0  # makes a statistic that of the last batch alone
    totals, count = [np.zeros(statistic.shape) for statistic in statistics], 0
    for inputs, labels in batches.take(_BATCHES):
        trainer(inputs, training=True)
        count += len(labels)
        for total, statistic in zip(totals, statistics, strict=True):
            total += len(labels) * keras.ops.convert_to_numpy(statistic)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.trainable, layer.momentum = False, momentum
    for statistic, total in zip(statistics, totals, strict=True):
        statistic.assign(total / count)
