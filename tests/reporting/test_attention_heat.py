"""Tests of tl_keras.reporting.attention_heat, on tiny transformers with random weights."""

import keras
import numpy as np
import pytest

from tl_keras.reporting.attention_heat import attention_heat
from tl_keras.serving.student_statistics import FEATURES_LAYER
from tl_keras.tasks.single_label import SINGLE_LABEL


def a_transformer(pooling, *, blocks=2, windows=False):
    """A student of some blocks on 4 x 4 patches of 8 pixels, after a class token; its classes are told apart by their means."""
    keras.utils.set_random_seed(0)
    images = keras.Input((32, 32, 3))
    patches = keras.layers.Reshape((16, 16))(keras.layers.Conv2D(16, 8, strides=8)(images / 127.5 - 1.0))
    tokens = patches if pooling == "attention" else keras.layers.ZeroPadding1D((1, 0))(patches)
    if windows:
        tokens = keras.layers.MaxPooling1D(2)(keras.layers.MultiHeadAttention(2, 8)(tokens, tokens))
    for _ in range(blocks):
        normed = keras.layers.LayerNormalization()(tokens)
        tokens = tokens + keras.layers.MultiHeadAttention(2, 8)(normed, normed)
    if pooling == "attention":
        tokens = keras.layers.MultiHeadAttention(1, 8)(keras.layers.AveragePooling1D(16)(tokens), tokens)
    elif pooling == "class":
        tokens = keras.layers.Cropping1D((0, tokens.shape[1] - 1))(tokens)
    features = keras.layers.GlobalAveragePooling1D(name=FEATURES_LAYER)(tokens)
    return keras.Model(images, keras.layers.Dense(2, name="logits")(features))


def images_of_halves():
    """One image with bright noise on its left half, one on its right, and noise all over."""
    noise = np.random.default_rng(0).uniform(100, 255, (3, 32, 32, 3)).astype(np.float32)
    noise[0, :, 16:], noise[1, :, :16] = 127.5, 127.5
    return noise


@pytest.mark.parametrize("pooling", ["class", "mean", "attention"])
def test_most_of_the_heat_lies_where_noise_tells_the_class(pooling):
    model, images = a_transformer(pooling), images_of_halves()
    features = keras.Model(model.input, model.get_layer(FEATURES_LAYER).output)
    of_noise, of_grey = np.asarray(features(np.stack([images[2], np.full((32, 32, 3), 127.5)])))
    model.get_layer("logits").set_weights([np.stack([of_noise - of_grey, of_grey - of_noise], axis=1), np.zeros(2)])
    before = np.asarray(model(images))
    heat = attention_heat(model, images[:2], lambda logits: SINGLE_LABEL.evidence(logits, np.zeros(2, int)))
    assert heat.shape == (2, 4, 4)
    assert heat.min() >= 0
    np.testing.assert_allclose(heat.max(axis=(1, 2)), 1)
    assert heat[0, :, :2].sum() > 1.5 * heat[0, :, 2:].sum()
    assert heat[1, :, 2:].sum() > 1.5 * heat[1, :, :2].sum()
    np.testing.assert_array_equal(model(images), before)  # its layers compute as before


def test_of_one_attention_it_is_what_each_patch_adds_to_the_logit():
    model, images = a_transformer("attention", blocks=0), images_of_halves()
    (attention,) = (layer for layer in model.layers if isinstance(layer, keras.layers.MultiHeadAttention))
    patches = np.asarray(keras.Model(model.input, attention.input[1])(images))
    query = patches.mean(axis=1, keepdims=True)
    probabilities = np.asarray(attention(query, patches, return_attention_scores=True)[1])[:, 0, 0]
    of_each = np.stack([attention(query, patches[:, n : n + 1])[:, 0] for n in range(16)], axis=1)
    kernel = model.get_layer("logits").get_weights()[0]
    expected = np.maximum(probabilities * (of_each @ kernel[:, 1]), 0).reshape(3, 4, 4)
    heat = attention_heat(model, images, lambda logits: logits[:, 1])
    np.testing.assert_allclose(heat, expected / expected.max(axis=(1, 2), keepdims=True), atol=1e-4)


def test_attention_in_windows_has_no_map():
    assert attention_heat(a_transformer("mean", windows=True), images_of_halves(), lambda x: x[:, 0]).shape == (3, 1, 1)
