"""Tests of tl_keras.reporting.grad_cam."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.backbones.specs import backbone_spec
from tl_keras.builder import build_student, choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.data.decoding import decode_image
from tl_keras.reporting.grad_cam import grad_cam
from tl_keras.tasks.single_label import SINGLE_LABEL

# The smallest network of each family.
FAMILIES = (
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "ResNet50",
    "ResNet50V2",
    "InceptionV3",
    "InceptionResNetV2",
    "Xception",
    "AlexNet",
    "VGG16",
    "DenseNet121",
    "NASNetMobile",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "ConvNeXtTiny",
)


def a_student(name, *, image_size, head="linear"):
    config = ModelConfig(backbone=name, weights="none", image_size=image_size, head=head, unfreeze="all")
    return build_student(choose_backbone(config), config, num_classes=3)


# What normalisation makes 0 of; where a network normalises itself, with ImageNet's mean too, by 1/127.5 - 1, or not without
# weights.
BLANK = {"tf": (127.5,) * 3, "torch": (123.675, 116.28, 103.53), "caffe": (123.68, 116.779, 103.939)}
BLANK_INSIDE = {"MobileNetV3Small": BLANK["tf"], "EfficientNetB0": (0,) * 3}


def logits_of(classes):
    """Returns the evidence for a class of each image."""
    return lambda logits: SINGLE_LABEL.evidence(logits, np.asarray(classes))


@pytest.fixture(
    scope="module",
    params=[name if name == "AlexNet" else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES],
)
def two_halves(request):
    """A student, and its heat for two images: noise on the left or on the right half, and nothing on the other.

    Its classifier tells by class means which of the two an image shows.
    """
    name = request.param
    size = max(160, backbone_spec(name).min_image_size)
    keras.utils.set_random_seed(0)  # MobileNet's heat is told apart by 1.2 to 1.5, by its random weights
    student = a_student(name, image_size=size)
    blank = np.empty((1, size, size, 3), np.float32)
    blank[:] = BLANK.get(student.preprocess.normalization, BLANK_INSIDE.get(name, BLANK["torch"]))
    noise = np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype(np.float32)
    features = keras.Model(student.model.input, student.model.get_layer("features").output)
    of_noise, of_blank = features(np.concatenate([noise[:1], blank]), training=False).numpy()
    kernel = np.repeat((of_noise - of_blank)[:, None], 3, axis=1)
    student.model.get_layer("logits").set_weights([kernel, np.zeros(3)])
    images = np.repeat(blank, 2, axis=0)
    images[0, :, : size // 2], images[1, :, size // 2 :] = noise[1, :, : size // 2], noise[1, :, size // 2 :]
    return student, grad_cam(student.model, images, logits_of([0, 2]))


def test_it_works_on_every_family(two_halves):
    student, heat = two_halves
    assert heat.shape == (2, *student.backbone.output_shape[1:3])
    assert np.isfinite(heat).all()
    assert heat.min() >= 0
    assert heat.max() <= 1


def test_most_of_the_heat_lies_where_there_is_something_to_see(two_halves):
    left, right = two_halves[1]
    half = left.shape[1] // 2
    assert left[:, :half].sum() > 1.2 * left[:, -half:].sum()
    assert right[:, -half:].sum() > 1.2 * right[:, :half].sum()


@pytest.fixture(scope="module")
def linear():
    return a_student("MobileNetV2", image_size=64)


def test_with_a_linear_head_it_is_the_map_weighted_by_the_kernel(linear):
    """Then Grad-CAM is CAM (Zhou et al. 2016), as section 3 of its paper proves."""
    logits = linear.model.get_layer("logits")
    kernel, bias = logits.get_weights()
    logits.set_weights([np.abs(kernel), bias])  # something speaks for each class, whatever the random weights
    images = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    maps = keras.Model(linear.model.input, linear.head[0].input)(images, training=False).numpy()
    expected = np.maximum(maps @ np.abs(kernel)[:, 1], 0)
    heat = grad_cam(linear.model, images, logits_of([1]))
    np.testing.assert_allclose(heat, expected / expected.max(), atol=1e-5)
    logits.set_weights([kernel, bias])


def test_where_nothing_speaks_for_the_class_there_is_no_heat(linear):
    logits = linear.model.get_layer("logits")
    kernel, bias = logits.get_weights()
    logits.set_weights([-np.abs(kernel), bias])  # and the maps are not negative
    images = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    assert grad_cam(linear.model, images, logits_of([0])).max() == 0
    logits.set_weights([kernel, bias])


def test_a_head_with_a_hidden_layer_is_followed_too():
    student = a_student("MobileNetV2", head="mlp", image_size=64)
    images = np.random.default_rng(0).uniform(0, 255, (9, 64, 64, 3)).astype(np.float32)
    heat = grad_cam(student.model, images, logits_of(np.arange(9) % 3))
    assert heat.shape == (9, 2, 2)
    assert heat.max() > 0


@pytest.fixture(scope="module")
def imagenet_student(shared_data):
    """MobileNetV2 with its ImageNet weights, and its own classifier as the head."""
    config = ModelConfig(backbone="MobileNetV2", image_size=224, unfreeze="all", dropout=0.0)
    student = build_student(choose_backbone(config), config, num_classes=1000)
    top = keras.applications.MobileNetV2(classifier_activation=None).layers[-1]
    student.model.get_layer("logits").set_weights(top.get_weights())
    return student


@pytest.mark.parametrize("side", ["left", "right"])
def test_most_of_the_heat_lies_where_the_object_is(imagenet_student, shared_data, side):
    """ImageNet photos, shrunk, on one half of a grey picture; those that the network still recognises."""
    files = sorted((shared_data / "imagenet_samples").iterdir())[::10]
    classes = np.array([int(file.name.split("_")[0]) for file in files])
    images = np.full((len(files), 224, 224, 3), 128, np.float32)
    columns = slice(0, 112) if side == "left" else slice(112, 224)
    for image, file in zip(images, files, strict=True):
        photo = decode_image(tf.io.read_file(str(file)))
        image[56:168, columns] = tf.image.resize(photo, (112, 112), antialias=True)
    recognised = imagenet_student.model.predict(images, verbose=0).argmax(axis=-1) == classes
    heat = grad_cam(imagenet_student.model, images[recognised], logits_of(classes[recognised]))
    on_its_side = heat[:, :, :3] if side == "left" else heat[:, :, 4:]  # of seven columns
    assert recognised.sum() >= 5
    assert (on_its_side.sum(axis=(1, 2)) > 0.6 * heat.sum(axis=(1, 2))).all()
