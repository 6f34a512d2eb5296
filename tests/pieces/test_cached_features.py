"""Tests of tl_keras.pieces.cached_features."""

import keras
import numpy as np
import pytest

import tl_keras as tl
from tl_keras.training.features import FeatureStore


@pytest.fixture(scope="module")
def model(small_teacher):
    base = keras.models.load_model(small_teacher)
    return keras.Model(base.input, keras.layers.GlobalAveragePooling2D()(base.output))


def test_any_model_is_computed_once(model, photos, monkeypatch):
    data = tl.load_data(photos("blue", "red"))
    found = tl.features(model, data)
    images = np.concatenate([batch for batch, _ in tl.preprocess(spec(), data)])
    assert np.allclose(found.values, model.predict(images, verbose=0), atol=1e-4)
    assert [len(found.of(split)[0]) for split in ("train", "validation", "test")] == [
        len(data.splits.train),
        len(data.splits.validation),
        len(data.splits.test),
    ]
    with pytest.raises(tl.TransferError, match=r"split: expected one of train, .* Received: val\."):
        found.of("val")
    monkeypatch.setattr(FeatureStore, "_fill", lambda *_, **__: pytest.fail("computed again"))
    assert np.array_equal(tl.features(model, data).values, found.values)


def spec():
    return tl.PreprocessSpec(
        image_size=16,
        rule="squash",
        crop_fraction=1.0,
        interpolation="bilinear",
        antialias=True,
        normalization="inside_the_model",
    )


def test_a_model_of_no_fixed_size_needs_its_preprocessing(photos):
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D()])
    with pytest.raises(tl.TransferError, match=r"expected an input of shape \(batch, size, size, 3\)"):
        tl.features(model, photos("blue", "red", each=4))
