"""Tests of tl_keras.backbones.keras_file: what a stranger's file may not do, on every supported Keras."""

import io
import json
import pathlib
import zipfile

import h5py
import keras
import pytest

from tl_keras.backbones.keras_file import load_keras_file
from tl_keras.errors import BackboneError


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> pathlib.Path:
    """A file with a small network, compiled inside another one."""
    images = keras.Input((8, 8, 3))
    inner = keras.Model(images, keras.layers.ReLU()(keras.layers.Conv2D(2, 3)(images)), name="inner")
    inner.compile(optimizer="adam", loss="mse", metrics=["mae"])
    inner.optimizer.build(inner.trainable_variables)
    file = tmp_path_factory.mktemp("keras") / "whole.keras"
    keras.Model(images, inner(images)).save(file)
    return file


def changed(whole: pathlib.Path, file: pathlib.Path, **changes) -> pathlib.Path:
    """Writes a copy in which functions have changed the contents of entries, and returns where it is."""
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as copy:
        for name in archive.namelist():
            change = changes.get(name.replace(".", "_"), lambda content: content)
            copy.writestr(name, change(archive.read(name)))
    return file


def with_layer(layer: dict):
    """Returns a change of config.json that adds a layer."""

    def change(content: bytes) -> bytes:
        config = json.loads(content)
        config["config"]["layers"].insert(0, layer)
        return json.dumps(config).encode()

    return change


def refused(file: pathlib.Path) -> str:
    """Returns the one line with which a file is refused."""
    with pytest.raises(BackboneError, match="model: expected") as raised:
        load_keras_file(file)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_network_inside_another_is_loaded_though_it_was_compiled(whole):
    assert len(load_keras_file(whole).weights) == 2


def a_layer(name: str, **config) -> dict:
    return {"module": "keras.layers", "class_name": name, "config": config, "registered_name": None}


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (
            {"module": "keras.config", "class_name": "enable_unsafe_deserialization", "config": {}},
            "it names keras.config.enable_unsafe_deserialization, which is no part of a network",
        ),
        ({"module": "keras.models", "class_name": "load_model", "config": {}}, "names keras.models.load_model"),
        ({"module": "os", "class_name": "system", "config": "true"}, "names os.system"),
        ({"class_name": "system", "config": "true"}, "names None.system"),
        (a_layer("StringLookup", vocabulary="/etc/passwd"), "its layer StringLookup may read other files"),
        (a_layer("IntegerLookup", vocabulary="/etc/passwd"), "its layer IntegerLookup may read other files"),
        (a_layer("TextVectorization", vocabulary="/etc/passwd"), "its layer TextVectorization may read"),
        ({**a_layer("StringLookup", vocabulary="/etc/passwd"), "module": None}, "its layer StringLookup"),
        (a_layer("TimeDistributed", layer=a_layer("StringLookup", vocabulary="/etc/passwd")), "StringLookup"),
        ({**a_layer("ReLU"), "compile_config": {"loss": a_layer("TFSMLayer", filepath="/tmp")}}, "TFSMLayer loads"),
        (
            {**a_layer("ReLU"), "compile_config": {"loss": {"module": "os", "class_name": "system"}}},
            "names os.system",
        ),
        (a_layer("TorchModuleWrapper", module="gASV"), "its layer TorchModuleWrapper runs code"),
        (a_layer("Lambda", function=["4wE=", None, None]), "its layer Lambda runs code"),
    ],
)
def test_what_is_no_part_of_a_network_on_images_is_refused_before_keras_reads_it(whole, tmp_path, layer, reason):
    assert reason in refused(changed(whole, tmp_path / "model.keras", config_json=with_layer(layer)))


def test_a_config_that_unpacks_to_gigabytes_is_not_unpacked(whole, tmp_path):
    file = changed(whole, tmp_path / "model.keras", config_json=lambda content: content + b" " * 2**26)
    assert file.stat().st_size < 2**20
    assert "config.json in it unpacks to 64.0 MiB, more than 32.0 MiB" in refused(file)


@pytest.mark.parametrize("depth", [150, 100_000])
def test_a_deeply_nested_config_is_one_line(whole, tmp_path, depth):
    nested = b'{"config": ' * depth + b"{}" + b"}" * depth
    assert "nested more than 100 levels deep" in refused(
        changed(whole, tmp_path / "model.keras", config_json=lambda content: nested)
    )


def test_weights_that_are_stored_in_other_files_are_not_read(whole, tmp_path):
    """Keras 3.10 read local files into weights."""
    (tmp_path / "secret").write_bytes(bytes(range(8)))

    def steal(content: bytes) -> bytes:
        file = io.BytesIO(content)
        with h5py.File(file, "a") as opened:
            names: list[str] = []
            opened.visit(names.append)
            bias = next(name for name in names if name.endswith("conv2d/vars/1"))
            del opened[bias]
            opened.create_dataset(bias, (2,), "f4", external=[(str(tmp_path / "secret"), 0, 8)])
        return file.getvalue()

    file = changed(whole, tmp_path / "model.keras", model_weights_h5=steal)
    assert "conv2d/vars/1 is stored in other files" in refused(file)


def test_a_file_of_another_keras_that_cannot_be_read_names_both_versions(whole, tmp_path):
    file = changed(
        whole,
        tmp_path / "model.keras",
        metadata_json=lambda content: b'{"keras_version": "9.1.0"}',
        config_json=with_layer(a_layer("LayerOfTomorrow")),
    )
    assert f"was written by Keras 9.1.0; this is Keras {keras.__version__}" in refused(file)
