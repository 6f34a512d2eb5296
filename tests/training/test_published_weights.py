"""Tests of tl_keras.training.published_weights."""

import urllib.request

import pytest

import tl_keras
from tl_keras.builder import choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.errors import BackboneError
from tl_keras.experiments.folds import train_with_folds
from tl_keras.labels.unlabelled_training import train_with_unlabelled
from tl_keras.training import published_weights
from tl_keras.training.published_weights import download_missing, is_trained_and_at_hand


@pytest.fixture
def empty_home(tmp_path, monkeypatch):
    """Keras's home without any weights, and an address that never answers in the place of all others."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setattr(urllib.request, "_opener", None)  # which keeps the proxies of its first request


def model_of(**changes):
    return ModelConfig(**{"backbone": "MobileNetV2", "method": "feature_extraction", "weights": "imagenet", **changes})


@pytest.mark.parametrize("train", [tl_keras.train_and_evaluate, train_with_folds, train_with_unlabelled])
def test_what_cannot_be_downloaded_is_said_before_the_images_are_looked_for(train, empty_home, tmp_path):
    config = tl_keras.TransferConfig(model=model_of(alpha=0.75))
    config.data.source = str(tmp_path / "nowhere")
    more = (
        {"folds": 2}
        if train is train_with_folds
        else {"unlabelled": str(tmp_path)}
        if train is train_with_unlabelled
        else {}
    )
    with pytest.raises(BackboneError, match=r"could not download https://\S+mobilenet_v2\S+ Put "):
        train(config, tmp_path / "run", **more)


def test_weights_that_are_here_or_not_needed_are_not_loaded(empty_home, monkeypatch):
    monkeypatch.setattr(published_weights, "load_backbone", pytest.fail)
    embedded = model_of(weights="embedded", image_size=32)
    assert is_trained_and_at_hand(choose_backbone(embedded))
    assert not is_trained_and_at_hand(choose_backbone(model_of()))
    for model in (embedded, model_of(weights="none"), model_of(method="replicate")):
        download_missing(model)
