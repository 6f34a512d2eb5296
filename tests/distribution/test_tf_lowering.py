"""Tests of tl_keras.distribution.tf_lowering; that libtpu compiles it is in `test_tpu_compile.py`."""

import keras
import pytest
from small_run import a_model

from tl_keras.distribution.distributor import blank_batch
from tl_keras.distribution.tf_lowering import lower_step


def lowered(model: keras.Model, *, replicas: int) -> bytes:
    """Returns the program of a step over 32 images."""
    model._symbolic_build(data_batch=blank_batch(model, 1))
    return lower_step(model, replicas=replicas, global_batch_size=32)


def test_gradients_and_the_statistics_of_batchnorm_are_summed_over_the_replicas():
    model = a_model("on")
    # Of BatchNorm sums, squares and count, and the gradients of the first two; then those of five weights.
    assert lowered(model, replicas=4).count(b"all-reduce") == 5 + 5
    assert not any(getattr(layer, "synchronized", False) for layer in model.layers)


def test_what_xla_cannot_do_is_refused():
    layers = [keras.layers.RandomRotation(0.1), keras.layers.Flatten(), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    with pytest.raises(ValueError, match="ImageProjectiveTransformV3"):
        lowered(model, replicas=1)
