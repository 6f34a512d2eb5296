"""Tests of tl_keras.backbones.weights."""

import os
import pathlib
import warnings

import h5py
import keras
import numpy as np
import pytest

from tl_keras.backbones.specs import WeightsFile, backbone_spec
from tl_keras.backbones.weights import check_weights_name, fingerprint, load_weights, official_file
from tl_keras.errors import BackboneError


def save(backbone: keras.Model, path: pathlib.Path) -> None:
    if path.name.endswith(".weights.h5"):
        backbone.save_weights(path)
    else:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "You are saving your model as an HDF5 file")
            backbone.save(path)


def a_backbone(*, depth=2, width=64) -> keras.Model:
    x = images = keras.Input((32, 32, 3))
    for i in range(depth):
        x = keras.layers.BatchNormalization(name=f"bn_{i}")(keras.layers.Conv2D(width, 3, name=f"conv_{i}")(x))
    return keras.Model(images, x)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
def test_a_file_of_each_kind_is_loaded(tmp_path, suffix):
    saved, path = a_backbone(), tmp_path / f"backbone{suffix}"
    save(saved, path)
    loaded = a_backbone()
    load_weights(loaded, str(path))
    assert fingerprint(loaded) == fingerprint(saved)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
@pytest.mark.parametrize("other", [{"depth": 1}, {"depth": 3}, {"width": 32}])
def test_weights_of_another_architecture_are_refused_in_one_line(tmp_path, suffix, other):
    saved, path = a_backbone(**other), tmp_path / f"other{suffix}"
    save(saved, path)
    with pytest.raises(BackboneError, match=": expected") as raised:
        load_weights(a_backbone(), str(path))
    assert "\n" not in str(raised.value)


def test_weights_with_a_dense_top_are_loaded_without_it(tmp_path):
    saved, path = a_backbone(), tmp_path / "whole.weights.h5"
    top = keras.layers.Dense(5)(keras.layers.Dropout(0.1)(keras.layers.GlobalAveragePooling2D()(saved.output)))
    keras.Model(saved.input, top).save_weights(path)
    loaded = a_backbone()
    load_weights(loaded, str(path))
    assert fingerprint(loaded) == fingerprint(saved)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_weights_that_are_stored_in_other_files_are_refused_before_keras_reads_them(tmp_path, suffix):
    path = tmp_path / f"hostile{suffix}"
    save(a_backbone(), path)
    with h5py.File(path, "a") as file:
        file.create_dataset("stolen", (8,), "u1", external=[("/etc/hostname", 0, 8)])
    with pytest.raises(BackboneError, match=r"hostile.* \(the HDF5 dataset stolen is stored in other files\)"):
        load_weights(a_backbone(), str(path))


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
@pytest.mark.parametrize("content", [b"<html>404</html>", b""])
def test_a_file_that_holds_no_weights_is_refused_in_one_line(tmp_path, suffix, content):
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(content)
    with pytest.raises(BackboneError, match=r": expected .* Received: .*damaged") as raised:
        load_weights(a_backbone(), str(path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
def test_a_truncated_file_is_refused_by_name_in_one_line(tmp_path, suffix):
    path = tmp_path / f"whole{suffix}"
    save(a_backbone(), path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(BackboneError, match=r": expected .* Received: .*whole") as raised:
        load_weights(a_backbone(), str(path))
    assert "\n" not in str(raised.value)


def test_a_keras_file_with_code_in_it_is_refused_in_one_line(tmp_path):
    images = keras.Input((32, 32, 3))
    keras.Model(images, keras.layers.Lambda(lambda x: x + 1)(images)).save(tmp_path / "code.keras")
    with pytest.raises(BackboneError, match=r"safe mode\. Received: .*code\.keras") as raised:
        load_weights(a_backbone(), str(tmp_path / "code.keras"))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["imagnet", "weights.bin", "weights.pkl", "weights.pth", "missing.weights.h5"])
def test_a_name_that_is_neither_known_nor_a_file_is_refused(name):
    with pytest.raises(BackboneError, match="weights: expected"):
        check_weights_name(name, backbone_spec("MobileNetV2"))


def test_the_fingerprint_changes_with_any_weight():
    backbone = a_backbone()
    before = fingerprint(backbone)
    backbone.weights[-1].assign(np.nextafter(backbone.weights[-1].numpy(), np.float32(2)))
    assert fingerprint(backbone) != before


def test_a_directory_in_the_place_of_an_official_file_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models" / "some.h5").mkdir(parents=True)
    with pytest.raises(BackboneError, match=r"some\.h5, which is a directory\. Remove it"):  # noqa: SIM117
        with official_file(WeightsFile(name="some.h5", alpha=1.0)):
            pytest.fail("Keras is not to be asked")


def test_official_weights_are_read_where_the_home_cannot_be_written(monkeypatch, shared_data, capsys):
    monkeypatch.setattr(os, "access", read_only(shared_data / "keras_home"))
    monkeypatch.setenv("KERAS_HOME", str(shared_data / "keras_home"))
    file = WeightsFile(name="mobilenet_2_5_224_tf_no_top.h5")
    with official_file(file):
        found = keras.utils.get_file(file.name, origin="https://nothing.invalid/x", cache_subdir="models")
    assert pathlib.Path(found).samefile(shared_data / "keras_home" / "models" / file.name)
    assert not capsys.readouterr().err


def read_only(folder):
    """Returns `os.access` for a user who may not write a folder, as it is for all but root."""
    access = os.access
    return lambda path, mode, **options: (
        access(path, mode, **options) and not (mode & os.W_OK and pathlib.Path(path) == folder)
    )


@pytest.mark.parametrize("home", ["/proc/keras", "/dev/null/keras"])
def test_what_cannot_be_downloaded_into_a_home_is_one_line_that_names_the_file(monkeypatch, home, capsys):
    monkeypatch.setenv("KERAS_HOME", home)
    with (
        pytest.raises(BackboneError, match=r"could not download https://nothing\.invalid/x\. Put .* or set KERAS_HOME"),
        official_file(WeightsFile(name="some.h5")),
    ):
        keras.utils.get_file("some.h5", origin="https://nothing.invalid/x", cache_subdir="models")
    assert "some.h5, if it can be downloaded, is kept until this command ends" in capsys.readouterr().err
