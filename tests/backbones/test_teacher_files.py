"""Tests of tl_keras.backbones.teacher_files: a model file as the teacher."""

import json
import zipfile

import keras
import numpy as np
import pytest

from tl_keras.backbones.blocks import blocks_of
from tl_keras.backbones.teacher_files import EXAMPLE, load_teacher, read_teacher_file
from tl_keras.backbones.weights import fingerprint
from tl_keras.builder import build_backbone, build_student, choose_backbone, load_backbone
from tl_keras.config import ModelConfig
from tl_keras.errors import BackboneError
from tl_keras.serving.model_file import save_model
from tl_keras.serving.student_statistics import fit_student_statistics
from tl_keras.tasks.single_label import SINGLE_LABEL

layers = keras.layers
DECLARED = {**EXAMPLE.to_json(), "image_size": 32}


def a_feature_map(images):
    """Two convolutions, a residual block, and a last convolution."""
    x = layers.Conv2D(4, 3, padding="same", name="stem")(images)
    x = layers.ReLU(name="stem_relu")(layers.BatchNormalization(name="stem_bn")(x))
    x = shortcut = layers.Conv2D(8, 3, strides=2, padding="same", name="down")(x)
    x = layers.ReLU(name="inner_relu")(layers.Conv2D(8, 3, padding="same", name="inner")(x))
    x = layers.Add(name="add")([shortcut, layers.Conv2D(8, 3, padding="same", name="outer")(x)])
    return layers.Conv2D(16, 1, activation="relu", name="last")(layers.ReLU(name="add_relu")(x))


def a_network(top=lambda x: x) -> keras.Model:
    images = keras.Input((32, 32, 3))
    return keras.Model(images, top(a_feature_map(images)))


def pooled_classifier(x):
    return layers.Dense(5, activation="softmax")(layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x)))


def flat_classifier(x):
    return layers.Dense(5)(layers.Flatten()(x))


@pytest.fixture
def teacher_file(tmp_path):
    """A function that saves a model, and declares its preprocessing beside it."""

    def write(model, declared=DECLARED) -> str:
        model.save(tmp_path / "teacher.keras")
        (tmp_path / "teacher.preprocess.json").write_text(json.dumps(declared))
        return str(tmp_path / "teacher.keras")

    return write


def some_statistics():
    """Returns statistics, which a teacher does not need."""
    features = np.eye(2, 8, dtype=np.float32)
    return fit_student_statistics(
        train_features=features,
        validation_features=features,
        validation_logits=np.eye(2, dtype=np.float32),
        validation_labels=np.array([0, 1]),
        classes=2,
        task=SINGLE_LABEL,
    )


@pytest.fixture(scope="module")
def student_file(tmp_path_factory):
    """A student of MobileNetV2, and the file that it was saved to."""
    config = ModelConfig(weights="none", alpha=0.35, image_size=48, resize="squash", unfreeze="blocks:1")
    student = build_student(choose_backbone(config), config, num_classes=2)
    path = tmp_path_factory.mktemp("run") / "model.keras"
    save_model(student, path, class_names=("a", "b"), statistics=some_statistics(), task=SINGLE_LABEL)
    return student, path


def refused(file: str) -> str:
    """Returns the one line with which a file is refused as a teacher."""
    with pytest.raises(BackboneError) as raised:
        load_teacher(read_teacher_file(file))
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("top", [lambda x: x, pooled_classifier, flat_classifier])
def test_the_feature_map_below_the_classifier_is_the_backbone(teacher_file, top):
    model = a_network(top)
    backbone = load_teacher(read_teacher_file(teacher_file(model)))
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    expected = keras.Model(model.inputs[0], model.get_layer("last").output)(images)
    np.testing.assert_array_equal(backbone(images), expected)


def test_a_sequential_of_a_network_and_a_head_is_looked_into(teacher_file):
    model = keras.Sequential([keras.Input((32, 32, 3)), a_network(), layers.GlobalMaxPooling2D(), layers.Dense(2)])
    backbone = load_teacher(read_teacher_file(teacher_file(model)))
    assert "stem" in {layer.name for layer in backbone.layers}


def test_a_declared_file_is_trained_on(teacher_file):
    config = ModelConfig(backbone=teacher_file(a_network(pooled_classifier)), unfreeze="blocks:2")
    teacher = choose_backbone(config)
    student = build_student(teacher, config, num_classes=3)
    assert teacher.spec.name == "teacher"
    assert student.plan.describe() == "2 of 4 blocks train (add_relu to last)"
    assert student.model(np.zeros((1, 32, 32, 3))).shape == (1, 3)


def test_replicate_keeps_the_architecture_alone(teacher_file):
    teacher = choose_backbone(ModelConfig(backbone=teacher_file(a_network(pooled_classifier))))
    ours, theirs = build_backbone(teacher), load_backbone(teacher)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert fingerprint(ours) != fingerprint(theirs)


def test_an_entry_of_the_archive_declares_as_well(tmp_path):
    a_network().save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras", "a") as archive:
        archive.writestr("tl_keras.json", json.dumps({"preprocess": DECLARED}))
    assert read_teacher_file(str(tmp_path / "model.keras")).preprocess.to_json() == DECLARED


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ([1], "to be a JSON object. Received: [1]"),
        (3, "to be a JSON object. Received: 3"),
        ("preprocess", "to be a JSON object"),
        ({"preprocess": DECLARED, "backbone": 3}, "expected backbone"),
        ({"preprocess": DECLARED, "backbone": ["MobileNetV2"]}, "expected backbone"),
        ({"preprocess": DECLARED, "alpha": "1"}, "expected alpha"),
        ({"preprocess": DECLARED, "alpha": None}, "to be a number above 0. Received: null"),
        ({"preprocess": DECLARED, "class_names": 2}, "to be a list of names. Received: 2"),
        ({"preprocess": [1]}, "preprocess: expected the fields"),
    ],
)
def test_an_entry_with_fields_of_another_type_is_refused(tmp_path, entry, message):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("tl_keras.json", json.dumps(entry))
    assert message in refused(str(tmp_path / "model.keras"))


def test_without_a_declaration_the_line_says_what_to_write(tmp_path):
    a_network().save(tmp_path / "model.keras")
    assert f'Write {tmp_path}/model.preprocess.json, such as {{"image_size": 224' in refused(
        str(tmp_path / "model.keras")
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": "crop"}, "expected rule one of short_side"),
        ({"image_size": "32"}, "expected image_size a size in pixels"),
        ({"crop_fraction": 0}, "expected crop_fraction above 0"),
        ({"normalization": ["tf"]}, "expected normalization one of tf"),
        ({"antialias": 1}, "expected antialias true or false"),
        ({"mean": 0.5}, "expected the fields image_size, rule"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(teacher_file, change, message):
    assert message in refused(teacher_file(a_network(), {**DECLARED, **change}))


def test_a_model_that_takes_another_size_than_declared_is_refused(teacher_file):
    assert "expected a model of one input (64, 64, 3)" in refused(
        teacher_file(a_network(), {**DECLARED, "image_size": 64})
    )


def test_a_model_of_two_inputs_is_refused(teacher_file):
    images, more = keras.Input((32, 32, 3)), keras.Input((4,))
    x = layers.GlobalAveragePooling2D()(a_feature_map(images))
    model = keras.Model([images, more], layers.Dense(2)(layers.Concatenate()([x, more])))
    assert "which takes (32, 32, 3), (4,)" in refused(teacher_file(model))


def test_attention_on_patches_is_no_feature_map(teacher_file):
    def top(x):
        x = layers.Reshape((-1, 16))(x)
        x = layers.Add(name="attended")([x, layers.MultiHeadAttention(2, 4)(x, x)])  # not a second "add"
        return layers.Dense(2)(layers.GlobalAveragePooling1D()(x))

    assert "expected a model that ends in one feature map" in refused(teacher_file(a_network(top)))


def test_a_model_of_two_outputs_is_refused(teacher_file):
    images = keras.Input((32, 32, 3))
    x = a_feature_map(images)
    model = keras.Model(images, [layers.Conv2D(2, 1)(x), layers.Conv2D(2, 1)(x)])
    assert "expected a model that ends in one feature map" in refused(teacher_file(model))


def test_code_in_the_file_is_refused(teacher_file):
    assert "safe mode" in refused(teacher_file(a_network(layers.Lambda(lambda x: x))))


@pytest.mark.parametrize("content", [b"", b"<html>404</html>"])
def test_what_is_no_model_file_is_refused(tmp_path, content):
    (tmp_path / "model.keras").write_bytes(content)
    assert "expected a .keras file" in refused(str(tmp_path / "model.keras"))


def test_a_missing_file_is_refused():
    assert "Received: missing.keras, which does not exist" in refused("missing.keras")


@pytest.mark.long
def test_a_student_is_the_backbone_that_it_learned_on_with_its_weights(student_file):
    student, path = student_file
    teacher = choose_backbone(ModelConfig(backbone=str(path)))
    assert (teacher.spec.name, teacher.alpha, teacher.preprocess) == ("MobileNetV2", 0.35, student.preprocess)
    assert fingerprint(load_backbone(teacher)) == fingerprint(student.backbone)


def test_a_student_can_be_given_other_image_sizes(student_file):
    _, path = student_file
    teacher = choose_backbone(ModelConfig(backbone=str(path), image_size=64))
    assert load_backbone(teacher).input_shape == (None, 64, 64, 3)


def test_a_student_of_a_file_is_a_teacher_too(teacher_file, tmp_path):
    config = ModelConfig(backbone=teacher_file(a_network(pooled_classifier)), unfreeze="blocks:1")
    student = build_student(choose_backbone(config), config, num_classes=2)
    save_model(
        student, tmp_path / "student.keras", class_names=("a", "b"), statistics=some_statistics(), task=SINGLE_LABEL
    )
    backbone = load_backbone(choose_backbone(ModelConfig(backbone=str(tmp_path / "student.keras"))))
    assert fingerprint(backbone) == fingerprint(student.backbone)
    assert len(blocks_of(backbone)) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": "none"}, "contains its own weights. Received: none"),
        ({"alpha": 0.5}, "has 0.35. Received: 0.5"),
        ({"image_size": 16}, "takes 32 pixels or more"),
    ],
)
def test_what_a_student_file_decides_cannot_be_chosen(student_file, changes, message):
    with pytest.raises(BackboneError, match=message):
        choose_backbone(ModelConfig(backbone=str(student_file[1]), **changes))


def test_another_size_than_declared_cannot_be_chosen(teacher_file):
    with pytest.raises(BackboneError, match=r"is declared for 32 pixels\. Received: 64"):
        choose_backbone(ModelConfig(backbone=teacher_file(a_network()), image_size=64))
