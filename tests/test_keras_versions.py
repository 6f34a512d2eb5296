"""What must work on every minor version of Keras that is supported: `make test-keras-versions` runs this on each."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tl_keras
from tl_keras.backbones.specs import backbone_spec
from tl_keras.builder import build_student, choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.errors import BackboneError

# One of each family that is quick to build.
FAMILIES = ("AlexNet", "MobileNet", "MobileNetV3Small", "VGG16", "EfficientNetB0", "EfficientNetV2B0", "ConvNeXtTiny")
MINOR = keras.__version__.rpartition(".")[0]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "MobileNet" else pytest.mark.slow) for name in FAMILIES]
)
def test_a_student_of_each_family_gives_logits_or_is_refused_in_one_line(name):
    spec = backbone_spec(name)
    config = ModelConfig(backbone=name, weights="none", image_size=spec.min_image_size, unfreeze="blocks:1")
    if MINOR in spec.unusable_keras:
        with pytest.raises(BackboneError, match=rf"for {name}, .*Received: Keras {MINOR}"):
            choose_backbone(config)
        return
    student = build_student(choose_backbone(config), config, num_classes=2)
    images = np.full((1, spec.min_image_size, spec.min_image_size, 3), 128, np.float32)
    assert np.isfinite(student.model(images)).all()


def test_a_keras_that_cannot_load_the_weights_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(keras, "__version__", "3.11.3")
    with pytest.raises(BackboneError, match=r"for EfficientNetB0.* Received: Keras 3\.11\.3\. Run: pip install"):
        choose_backbone(ModelConfig(backbone="EfficientNetB0"))


@pytest.mark.slow  # make test-keras-versions runs it on each version
def test_one_epoch_trains_and_exports(tmp_path):
    random = np.random.default_rng(0)
    for name, level in (("dark", 60), ("light", 190)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(12):
            pixels = random.normal(level, 30, (32, 32, 3)).clip(0, 255).astype(np.uint8)
            tf.io.write_file(str(tmp_path / "photos" / name / f"{i}.png"), tf.io.encode_png(pixels))
    config = tl_keras.TransferConfig()
    config.data.source = str(tmp_path / "photos")
    config.model.weights, config.model.method, config.model.unfreeze = "embedded", "fine_tune", "blocks:2"
    config.training.epochs, config.training.head_epochs = 1, 1
    tl_keras.train_and_evaluate(config, tmp_path / "run")
    assert keras.models.load_model(tmp_path / "run" / "model.keras").output_shape == (None, 2)
    assert (tmp_path / "run" / "saved_model" / "1" / "saved_model.pb").is_file()
