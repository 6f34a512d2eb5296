"""Tests of tl_keras.backbones.weights."""

import keras
import numpy as np
import pytest

from tl_keras.backbones.weights import check_weights_name, explained_download, fingerprint, load_weights
from tl_keras.errors import BackboneError


def a_backbone(architecture="MobileNetV2", **changes) -> keras.Model:
    options = {"input_shape": (32, 32, 3), "alpha": 0.35, "include_top": False, "weights": None, **changes}
    return getattr(keras.applications, architecture)(**options)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_file_of_each_kind_is_loaded(tmp_path, suffix):
    saved, path = a_backbone(), tmp_path / f"backbone{suffix}"
    saved.save_weights(path) if suffix == ".weights.h5" else saved.save(path)
    loaded = a_backbone()
    load_weights(loaded, str(path))
    assert fingerprint(loaded) == fingerprint(saved)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
@pytest.mark.parametrize("other", [{"architecture": "MobileNet", "alpha": 0.25}, {"alpha": 0.5}])
def test_weights_of_another_architecture_are_refused_in_one_line(tmp_path, suffix, other):
    saved, path = a_backbone(**other), tmp_path / f"other{suffix}"
    saved.save_weights(path) if suffix == ".weights.h5" else saved.save(path)
    with pytest.raises(BackboneError, match="weights: expected") as raised:
        load_weights(a_backbone(), str(path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
@pytest.mark.parametrize("content", [b"<html>404</html>", b""])
def test_a_file_that_holds_no_weights_is_refused_in_one_line(tmp_path, suffix, content):
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(content)
    with pytest.raises(BackboneError, match=r"weights: expected .* Received: .*damaged") as raised:
        load_weights(a_backbone(), str(path))
    assert "\n" not in str(raised.value)


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "whole.weights.h5"
    a_backbone().save_weights(path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(BackboneError, match="weights: expected"):
        load_weights(a_backbone(), str(path))


@pytest.mark.parametrize("name", ["imagnet", "weights.bin", "missing.weights.h5"])
def test_a_name_that_is_neither_known_nor_a_file_is_refused(name):
    with pytest.raises(BackboneError, match="weights: expected"):
        check_weights_name(name, ("imagenet", "embedded"))


def test_the_fingerprint_changes_with_any_weight():
    backbone = a_backbone()
    before = fingerprint(backbone)
    backbone.weights[-1].assign(np.nextafter(backbone.weights[-1].numpy(), np.float32(2)))
    assert fingerprint(backbone) != before


def test_a_failed_download_says_where_to_put_which_file(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(BackboneError, match=rf"Put x_notop\.h5 into {tmp_path}/models"), explained_download():
        keras.utils.get_file("x_notop.h5", "http://127.0.0.1:9/x_notop.h5", cache_dir=tmp_path)
