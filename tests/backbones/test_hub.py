"""Tests of tl_keras.backbones.hub, with presets made here: KerasHub's own are on a server."""

import keras
import numpy as np
import pytest

from tl_keras.backbones import hub
from tl_keras.backbones.hub import write_teacher_from_hub
from tl_keras.backbones.teacher_files import load_teacher, read_teacher_file
from tl_keras.errors import BackboneError, DependencyError


@pytest.fixture
def preset(tmp_path):
    """A small ResNet, as KerasHub writes it to a directory; the backbone, its converter, and the directory."""
    keras_hub = pytest.importorskip("keras_hub", reason="pip install keras-hub")
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )
    scale, offset = [1 / 58.4, 1 / 57.1, 1 / 57.4], [-2.1, -2.0, -1.8]
    converter = keras_hub.layers.ResNetImageConverter(image_size=(64, 64), scale=scale, offset=offset)
    backbone.save_to_preset(tmp_path / "preset")
    converter.save_to_preset(tmp_path / "preset")
    return backbone, converter, tmp_path / "preset"


def test_the_teacher_gives_what_the_preset_gives(preset, tmp_path):
    backbone, converter, folder = preset
    write_teacher_from_hub(str(folder), tmp_path / "teacher.keras")
    teacher = read_teacher_file(str(tmp_path / "teacher.keras"))
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    ours = load_teacher(teacher)(teacher.preprocess.evaluation_transform(image)[None])
    theirs = backbone(converter(image[None].astype("float32")))
    np.testing.assert_allclose(ours, theirs, atol=1e-3 * np.abs(theirs).max())
    assert len(keras.models.load_model(tmp_path / "teacher.keras").layers) > 10


def test_what_is_no_preset_is_one_line(preset, tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(BackboneError, match="expected a preset") as raised:
        write_teacher_from_hub(str(tmp_path / "nothing"), tmp_path / "teacher.keras")
    assert "\n" not in str(raised.value)


def test_without_keras_hub_the_line_to_run_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(hub.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match="pip install keras-hub"):
        write_teacher_from_hub("resnet_50_imagenet", tmp_path / "teacher.keras")
