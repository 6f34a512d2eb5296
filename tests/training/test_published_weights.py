"""Tests of tl_keras.training.published_weights."""

import pytest

import tl_keras
from tl_keras.builder import choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.errors import BackboneError
from tl_keras.training import published_weights
from tl_keras.training.published_weights import download_missing, is_trained_and_at_hand


@pytest.fixture
def empty_home(tmp_path, monkeypatch):
    """Keras's home without any weights, and an address that never answers in the place of all others."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def choice_of(**changes):
    return choose_backbone(ModelConfig(backbone="MobileNetV2", method="feature_extraction", **changes))


def test_what_cannot_be_downloaded_is_said_before_the_images_are_looked_for(empty_home, tmp_path):
    config = tl_keras.TransferConfig(model=ModelConfig(backbone="MobileNetV2", weights="imagenet", alpha=0.75))
    config.model.method, config.data.source = "feature_extraction", str(tmp_path / "nowhere")
    with pytest.raises(BackboneError, match=r"could not download https://\S+mobilenet_v2\S+ Put "):
        tl_keras.train_and_evaluate(config, tmp_path / "run")


def test_weights_that_are_here_are_not_loaded_twice(empty_home, monkeypatch):
    monkeypatch.setattr(published_weights, "load_backbone", pytest.fail)
    embedded = choice_of(weights="embedded", image_size=32)
    assert is_trained_and_at_hand(embedded)
    assert not is_trained_and_at_hand(choice_of(weights="imagenet"))
    for choice in (embedded, choice_of(weights="none")):
        download_missing(choice)
