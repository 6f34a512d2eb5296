"""Tests of tl_keras.heads."""

import keras
import numpy as np
import pytest

from tl_keras.heads import apply_head, initialize_head, scale_features, zero_logits


def head_of(head: str, dropout: float = 0.2) -> keras.Model:
    features = keras.Input((2, 2, 8))
    return keras.Model(features, apply_head(features, head=head, num_classes=3, head_units=5, dropout=dropout))


@pytest.mark.parametrize(
    ("head", "dropout", "names"),
    [
        ("linear", 0.2, ["features", "dropout", "logits"]),
        ("linear", 0.0, ["features", "logits"]),
        ("mlp", 0.2, ["features", "hidden", "dropout", "logits"]),
    ],
)
def test_a_head_has_its_layers_in_order(head, dropout, names):
    model = head_of(head, dropout)
    assert [layer.name for layer in model.layers[1:]] == names
    assert model.output_shape == (None, 3)


@pytest.mark.parametrize("shape", [(2, 2, 8), (4, 8)])
def test_the_pooling_is_the_average_or_the_largest_value_of_each_feature(shape):
    features = keras.Input(shape)
    options = {"head": "linear", "num_classes": 3, "head_units": 5, "dropout": 0.0}
    values = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    rows = values.reshape(2, -1, 8)
    for pooling, expected in (("average", rows.mean(1)), ("max", rows.max(1))):
        logits = apply_head(features, pooling=pooling, **options)
        pooled = keras.Model(features, keras.Model(features, logits).get_layer("features").output)
        np.testing.assert_allclose(pooled(values), expected, rtol=1e-5, atol=1e-6)


def test_logits_are_float32_under_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert head_of("mlp").output.dtype == "float32"
    finally:
        keras.config.set_dtype_policy(before)


def test_a_seed_decides_the_weights_and_they_are_glorots():
    one, same, other = (head_of("mlp") for _ in range(3))
    for model, seed in ((one, 1), (same, 1), (other, 2)):
        initialize_head(model.layers, seed=seed)
    kernel = one.get_layer("hidden").get_weights()[0]
    np.testing.assert_array_equal(kernel, same.get_layer("hidden").get_weights()[0])
    assert not np.array_equal(kernel, other.get_layer("hidden").get_weights()[0])
    assert 0.5 * np.sqrt(6 / (8 + 5)) < np.abs(kernel).max() <= np.sqrt(6 / (8 + 5))
    assert not one.get_layer("logits").get_weights()[1].any()


def test_zeros_answer_the_same_for_every_image():
    model = head_of("mlp", dropout=0.0)
    zero_logits(model.layers)
    assert np.ptp(model.predict(np.random.default_rng(0).random((4, 2, 2, 8)), verbose=0)) == 0


def test_a_scaled_head_sees_features_that_deviate_as_the_rates_expect():
    features = keras.Input((2, 2, 8))
    model = keras.Model(
        features, apply_head(features, scaled=True, head="linear", num_classes=3, head_units=5, dropout=0.2)
    )
    assert [layer.name for layer in model.layers[1:]] == ["features", "scale", "dropout", "logits"]
    assert [weight.path for weight in model.trainable_weights] == ["logits/kernel", "logits/bias"]
    pooled = np.random.default_rng(0).normal(5, 0.05, (40, 8)).astype(np.float32) * np.linspace(
        0.5, 2, 8, dtype=np.float32
    )
    scale_features(model.layers, [pooled[:30], pooled[30:]])
    scaled = keras.ops.convert_to_numpy(model.get_layer("scale")(pooled))
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
    assert np.sqrt(scaled.var(axis=0).mean()) == pytest.approx(0.4, abs=1e-3)
    np.testing.assert_allclose(
        scaled.std(axis=0) / pooled.std(axis=0), 0.4 / np.sqrt(pooled.var(axis=0).mean()), rtol=1e-3
    )


def test_constant_features_and_a_head_without_scale_are_left_finite():
    features = keras.Input((2, 2, 8))
    options = {"head": "linear", "num_classes": 3, "head_units": 5, "dropout": 0.2}
    model = keras.Model(features, apply_head(features, scaled=True, **options))
    scale_features(model.layers, [np.full((4, 8), 3.0, np.float32)])
    assert np.isfinite(model(np.full((1, 2, 2, 8), 3.0, np.float32))).all()
    scale_features(keras.Model(features, apply_head(features, **options)).layers, [])
