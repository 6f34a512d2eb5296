"""Tests of tl_keras.backbones.rebuilding: what a network has afterwards."""

import keras
import numpy as np

from tl_keras.backbones.rebuilding import with_random_weights, with_rescaling


def network() -> keras.Model:
    kernel = keras.initializers.GlorotUniform(seed=3)
    rows = keras.Input((4,))
    normalized = keras.layers.Normalization(mean=0.5, variance=1.0)(rows)
    return keras.Model(rows, keras.layers.Dense(3, kernel_initializer=kernel)(normalized))


def test_random_weights_follow_from_the_seed_of_the_run_alone():
    made = []
    for seed in (0, 1, 0):
        keras.utils.set_random_seed(seed)
        made.append(with_random_weights(network()).layers[-1].get_weights()[0])
    np.testing.assert_array_equal(made[0], made[2])
    assert not np.allclose(made[0], made[1])


def test_a_rescaling_follows_the_normalization():
    rescaled = with_rescaling(network(), (1.0, 2.0, 1.0, 1.0))
    assert [type(layer).__name__ for layer in rescaled.layers][-3:] == ["Normalization", "Rescaling", "Dense"]
    (normalized,) = keras.Model(rescaled.input, rescaled.layers[-2].output)(np.full((1, 4), 1.5, np.float32)).numpy()
    np.testing.assert_allclose(normalized, [1, 2, 1, 1])
