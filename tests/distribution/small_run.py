"""Trains a small network on an distributor and prints what came of it: `python small_run.py STRATEGY REPLICAS`, one line of JSON.

It has BatchNorm, and 53 images, which neither 16 nor 4 divides.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from tl_keras.distribution.distributor import open_distributor
from tl_keras.distribution.hardware import resolve_hardware
from tl_keras.tasks.single_label import SINGLE_LABEL
from tl_keras.training.losses import MeanOverStep
from tl_keras.training.optimizers import TransferAdam, VariableTreatment

IMAGES, BATCH, EPOCHS, STEPS = 53, 16, 3, 4


def train(strategy: str, replicas: int) -> dict:
    """Returns losses and accuracies by epoch, and those of an evaluation at the end."""
    distributor = open_distributor(resolve_hardware(strategy, replicas=replicas))
    keras.utils.set_random_seed(0)
    with distributor.scope():
        model = a_model(distributor.hardware.jit_compile)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(IMAGES, 8, 8, 3)).astype("float32")
    labels = np.eye(3, dtype="float32")[rng.integers(0, 3, IMAGES)]

    def share(*, training: bool) -> tf.data.Dataset:
        batches, taken = (
            tf.data.Dataset.from_tensor_slices((images, labels)).batch(BATCH),
            distributor.shard(training=training),
        )
        return taken.of(batches, images=IMAGES, global_batch_size=BATCH) if taken else batches

    model.optimizer.begin(learning_rate=1e-2, steps=EPOCHS * STEPS, warmup_fraction=0.1)
    with distributor.fitting(model):
        history = model.fit(
            distributor.feed(share(training=True).repeat(EPOCHS)),
            steps_per_epoch=STEPS,
            epochs=EPOCHS,
            validation_data=distributor.feed(share(training=False)),
            validation_steps=STEPS,
            shuffle=False,
            verbose=0,
        )
        evaluated = model.evaluate(distributor.feed(share(training=False)), steps=STEPS, verbose=0, return_dict=True)
    weights = np.concatenate([keras.ops.convert_to_numpy(variable).ravel() for variable in model.variables])
    return {
        **history.history,
        **{f"test_{name}": [value] for name, value in evaluated.items()},
        "weights": weights.tolist(),
    }


def a_model(jit_compile: str) -> keras.Model:
    """Returns a compiled network with BatchNorm."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(8, 3, use_bias=False)(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))
    optimizer = TransferAdam([VariableTreatment(decay=1e-4)] * len(model.trainable_variables))
    optimizer.build(model.trainable_variables)
    loss = SINGLE_LABEL.loss(label_smoothing=0.1, class_weights=None)
    metrics = [keras.metrics.MeanMetricWrapper(loss, name="loss"), keras.metrics.CategoricalAccuracy(name="accuracy")]
    model.compile(
        optimizer, MeanOverStep(loss, images=BATCH), weighted_metrics=metrics, jit_compile=jit_compile == "on"
    )
    return model


if __name__ == "__main__":
    print(json.dumps(train(sys.argv[1], int(sys.argv[2]))))
