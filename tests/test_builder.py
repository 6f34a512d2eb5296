"""Tests of tl_keras.builder."""

import dataclasses
import json
import pathlib
import urllib.error

import h5py
import keras
import numpy as np
import pytest

from tl_keras.backbones.teacher_files import EXAMPLE
from tl_keras.backbones.weights import fingerprint
from tl_keras.builder import build_backbone, build_student, choose_backbone, load_backbone, load_top
from tl_keras.config import ModelConfig
from tl_keras.errors import BackboneError


def a_choice(**changes) -> ModelConfig:
    return ModelConfig(**{"backbone": "MobileNetV2", "weights": "none", "alpha": 0.35, "image_size": 32, **changes})


@pytest.fixture
def without_files(monkeypatch):
    """Keras builds its ImageNet networks, and loads nothing into them."""
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: "")
    monkeypatch.setattr(keras.Model, "load_weights", lambda *_, **__: None)


@pytest.fixture
def keras_models(tmp_path, monkeypatch) -> pathlib.Path:
    """The folder in which Keras looks for official files: empty, and nothing can be downloaded into it."""

    def no_network(*_):
        raise urllib.error.URLError("no network")

    models = tmp_path / "models"
    models.mkdir()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))  # from the environment, at import
    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", no_network)
    return models


@pytest.mark.parametrize(
    "name", ["EfficientNetB0", *(pytest.param(f"EfficientNetB{i}", marks=pytest.mark.slow) for i in range(1, 8))]
)
def test_the_architecture_is_that_of_imagenets_network_whatever_the_weights(name, without_files):
    ours = build_backbone(choose_backbone(ModelConfig(backbone=name, weights="none", image_size=32)))
    theirs = getattr(keras.applications, name)(include_top=False, weights="imagenet", input_shape=(32, 32, 3))
    assert [type(layer) for layer in ours.layers] == [type(layer) for layer in theirs.layers]
    rescaling = [layer.scale for layer in theirs.layers if isinstance(layer, keras.layers.Rescaling)]
    assert [layer.scale for layer in ours.layers if isinstance(layer, keras.layers.Rescaling)] == rescaling
    assert ours.name == theirs.name


@pytest.mark.long
def test_an_efficientnet_without_its_last_rescaling_is_no_source_of_weights(tmp_path):
    keras.applications.EfficientNetB0(include_top=False, weights=None).save(tmp_path / "theirs.keras")
    config = ModelConfig(backbone="EfficientNetB0", weights=str(tmp_path / "theirs.keras"), image_size=32)
    with pytest.raises(BackboneError, match=r"theirs\.keras, which does not fit \(its layers are others\)"):
        load_backbone(choose_backbone(config))


@pytest.mark.long
def test_an_efficientnet_of_ours_is_a_source_of_weights(tmp_path):
    saved = build_backbone(choose_backbone(ModelConfig(backbone="EfficientNetB0", weights="none", image_size=32)))
    saved.save(tmp_path / "ours.keras")
    config = ModelConfig(backbone="EfficientNetB0", weights=str(tmp_path / "ours.keras"), image_size=64)
    assert fingerprint(load_backbone(choose_backbone(config))) == fingerprint(saved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 31}, "image_size: MobileNetV2 takes 32 pixels or more. Received: 31"),
        ({"weights": "imagenet", "alpha": 0.4}, "exist for 0.35, 0.5, 0.75, 1.0, 1.3, 1.4. Received: 0.4"),
        ({"backbone": "VGG16"}, "alpha: VGG16 has one width only. Received: 0.35"),
        ({"weights": "embedded", "alpha": 1.0}, "alpha: the embedded weights have 0.35. Received: 1.0"),
        ({"backbone": "AlexNet", "alpha": 0, "weights": "imagenet"}, "use --weights=alexnet-owt-7be5be79.pth"),
        ({"backbone": "AlexNet", "alpha": 0, "weights": "embedded"}, r"weights: expected none, or a file ending in"),
        ({"weights": "alexnet-owt-7be5be79.pth"}, r"weights: expected imagenet, embedded, none, or a file ending in"),
    ],
)
def test_what_the_backbone_cannot_have_is_refused_in_one_line(changes, message):
    with pytest.raises(BackboneError, match=message) as raised:
        choose_backbone(a_choice(**changes))
    assert "\n" not in str(raised.value)


def test_a_width_that_keras_cannot_build_is_refused_in_one_line():
    with pytest.raises(BackboneError, match="Keras cannot build MobileNet:"):
        build_backbone(choose_backbone(a_choice(backbone="MobileNet", alpha=0.01)))


def test_feature_extraction_trains_only_the_head():
    student = build_student(
        choose_backbone(a_choice()), a_choice(method="feature_extraction", unfreeze="none"), num_classes=3
    )
    student.plan.apply(student.backbone)
    assert [weight.path for weight in student.model.trainable_weights] == ["logits/kernel", "logits/bias"]


def test_replicate_has_a_batch_norm_momentum_for_short_training():
    student = build_student(choose_backbone(a_choice()), a_choice(method="replicate", unfreeze="all"), num_classes=3)
    momenta = {
        layer.momentum for layer in student.backbone.layers if isinstance(layer, keras.layers.BatchNormalization)
    }
    assert momenta == {0.9}


def test_replicate_has_this_momentum_in_layers_inside_of_layers_too(tmp_path):
    block = keras.Sequential([keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(momentum=0.999)])
    images = keras.Input((8, 8, 3))
    keras.Model(images, keras.layers.ReLU()(block(images))).save(tmp_path / "teacher.keras")
    preprocess = dataclasses.replace(EXAMPLE, image_size=8)
    (tmp_path / "teacher.preprocess.json").write_text(json.dumps(preprocess.to_json()))
    config = ModelConfig(backbone=str(tmp_path / "teacher.keras"), method="replicate", unfreeze="all")
    (block,) = build_student(choose_backbone(config), config, num_classes=3).backbone.layers[1:-1]
    assert block.layers[-1].momentum == 0.9


@pytest.mark.parametrize("nested", [False, True])
def test_replicate_draws_a_file_by_the_seed_of_the_run_whatever_seeds_the_file_has(tmp_path, nested):
    def seeded(inputs):
        return keras.layers.Conv2D(4, 3, kernel_initializer=keras.initializers.HeNormal(seed=5))(inputs)

    images = keras.Input((8, 8, 3))
    model = keras.Model(images, keras.layers.Dropout(0.1, seed=3)(seeded(images)))
    if nested:
        images = keras.Input((8, 8, 3))
        model = keras.Model(images, keras.layers.ReLU()(model(images)))
    model.save(tmp_path / "teacher.keras")
    preprocess = dataclasses.replace(EXAMPLE, image_size=8)
    (tmp_path / "teacher.preprocess.json").write_text(json.dumps(preprocess.to_json()))
    choice, kernels = choose_backbone(ModelConfig(backbone=str(tmp_path / "teacher.keras"))), []
    for seed in (0, 1, 0):
        keras.utils.set_random_seed(seed)
        kernels.append(build_backbone(choice).get_weights()[0])
    assert not np.array_equal(kernels[0], kernels[1])
    np.testing.assert_array_equal(kernels[0], kernels[2])


def test_a_file_that_is_not_the_published_one_is_refused_by_name_and_kept(keras_models):
    damaged = keras_models / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    damaged.write_bytes(b"truncated")
    with pytest.raises(
        BackboneError, match=rf"expected MD5 4d473c1d.* Received: {damaged}, which is damaged"
    ) as raised:
        load_backbone(choose_backbone(ModelConfig(backbone="ResNet50", image_size=32)))
    assert "\n" not in str(raised.value)
    assert damaged.is_file()


def test_where_there_is_no_file_and_no_network_the_line_says_what_to_put_where(keras_models):
    with pytest.raises(BackboneError, match=rf"Put mobilenet_2_5_128_tf_no_top.h5 into {keras_models}") as raised:
        load_backbone(choose_backbone(ModelConfig(backbone="MobileNet", alpha=0.25, image_size=128)))
    assert "\n" not in str(raised.value)


def test_a_damaged_file_without_a_published_hash_is_refused_by_name(keras_models):
    damaged = keras_models / "mobilenet_2_5_224_tf_no_top.h5"
    damaged.write_bytes(b"truncated")
    with pytest.raises(BackboneError, match=rf"Received: {damaged}, which is damaged or altered") as raised:
        load_backbone(choose_backbone(ModelConfig(backbone="MobileNet", alpha=0.25)))
    assert "\n" not in str(raised.value)


def test_altered_weights_without_a_published_hash_are_refused_by_their_fingerprint(keras_models, shared_data):
    altered = keras_models / "mobilenet_2_5_224_tf_no_top.h5"
    altered.write_bytes((shared_data / "keras_home" / "models" / altered.name).read_bytes())
    with h5py.File(altered, "r+") as file:
        kernel = file["conv1/conv1/kernel:0"]
        kernel[0, 0, 0, 0] = np.nextafter(kernel[0, 0, 0, 0], np.float32(2))
    with pytest.raises(BackboneError, match=rf"fingerprint b3c34c.* Received: {altered}"):
        load_backbone(choose_backbone(ModelConfig(backbone="MobileNet", alpha=0.25)))


@pytest.mark.parametrize(("name", "alpha"), [("MobileNet", 0.25), ("MobileNetV2", 1.0)])
def test_the_real_weights_have_the_recorded_fingerprint(shared_data, name, alpha):
    choice = choose_backbone(ModelConfig(backbone=name, alpha=alpha))
    recorded = choice.spec.default_weights.file_for(alpha=alpha, image_size=224).weights_sha256
    assert fingerprint(load_backbone(choice)) == recorded


def test_a_size_without_weights_of_its_own_takes_those_of_224_pixels_without_a_warning(shared_data):
    there, usual = (
        load_backbone(choose_backbone(ModelConfig(backbone="MobileNetV2", alpha=0.35, image_size=size)))
        for size in (256, 224)
    )
    assert there.input_shape == (None, 256, 256, 3)
    assert fingerprint(there) == fingerprint(usual)


def test_the_top_gives_the_answers_of_imagenets_network(shared_data):
    teacher = choose_backbone(ModelConfig(backbone="MobileNet", alpha=0.25, method="feature_extraction"))
    kernel, bias = load_top(teacher)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 224, 224, 3)).astype(np.float32)
    pooled = load_backbone(teacher)(images).numpy().mean(axis=(1, 2))
    expected = keras.applications.MobileNet(alpha=0.25, weights="imagenet")(images)
    np.testing.assert_allclose(keras.ops.softmax(pooled @ kernel + bias), expected, atol=1e-5)


@pytest.mark.parametrize("weights", ["embedded", "none"])
def test_weights_without_a_top_have_none(weights):
    assert load_top(choose_backbone(ModelConfig(weights=weights))) is None


def test_a_teacher_up_to_a_finer_map_has_the_weights_of_the_whole():
    config = ModelConfig(weights="embedded", image_size=64, output_stride=8, method="fine_tune", unfreeze="blocks:2")
    student = build_student(choose_backbone(config), config, num_classes=3)
    whole = load_backbone(choose_backbone(dataclasses.replace(config, output_stride=0)))
    part = keras.Model(whole.input, whole.get_layer("block_6_expand_relu").output)
    assert student.backbone.output_shape[1:3] == (8, 8)
    assert fingerprint(student.backbone) == fingerprint(part)
    assert student.teacher.describe() == "MobileNetV2 with the embedded weights up to its map of 8 pixels a position"
    assert 0 < student.plan.first_trained(student.backbone) < len(student.backbone.layers)


@pytest.mark.parametrize("changes", [{"output_stride": 16}, {"pooling": "max"}])
def test_a_classifier_of_other_features_is_none_of_the_teacher(shared_data, changes):
    assert load_top(choose_backbone(ModelConfig())) is not None
    assert load_top(choose_backbone(ModelConfig(**changes))) is None


def test_a_map_that_the_teacher_lacks_is_refused():
    with pytest.raises(BackboneError, match=r"output_stride: expected one of 2, 4, 8, 16, the maps of MobileNetV2"):
        build_backbone(choose_backbone(a_choice(output_stride=12)))
