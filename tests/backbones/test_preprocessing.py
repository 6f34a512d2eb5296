"""Tests of tl_keras.backbones.preprocessing."""

import functools
import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.backbones.preprocessing import PreprocessSpec
from tl_keras.backbones.specs import backbone_names, backbone_spec
from tl_keras.data.decoding import decode_image

RULES = ("short_side", "crop_first", "central_fraction", "squash", "pad")


def a_spec(rule="short_side", **changes) -> PreprocessSpec:
    fields = {"crop_fraction": 0.875, "interpolation": "bilinear", "antialias": True, "normalization": "tf"}
    return PreprocessSpec(**{"image_size": 32, "rule": rule, **fields, **changes})


def an_image(height, width) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [(50, 70), (70, 50), (32, 32), (5, 300), (1, 1)])
def test_every_rule_gives_the_square_from_any_size(rule, size):
    square = a_spec(rule).evaluation_transform(an_image(*size))
    assert square.shape == (32, 32, 3)
    assert square.dtype == tf.float32
    assert 0 <= float(tf.reduce_min(square)) <= float(tf.reduce_max(square)) <= 255


def in_an_export(function, argument, folder):
    """Returns what a function gives after it was saved and loaded as a SavedModel."""
    module = tf.Module()
    shapes = tf.TensorSpec([None if size > 3 else size for size in argument.shape], argument.dtype)
    module.serve = tf.function(function, input_signature=[shapes])
    tf.saved_model.save(module, folder)
    return tf.saved_model.load(folder).serve(argument)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("rule", RULES)
def test_eagerly_in_a_pipeline_and_in_an_export_the_values_are_the_same(rule, interpolation, antialias, tmp_path):
    spec, image = a_spec(rule, interpolation=interpolation, antialias=antialias), tf.constant(an_image(50, 70))
    eager = spec.evaluation_transform(image)
    images = tf.data.Dataset.from_tensors(image).map(spec.evaluation_transform)
    np.testing.assert_array_equal(next(iter(images)), eager)
    np.testing.assert_array_equal(in_an_export(spec.evaluation_transform, image, tmp_path), eager)


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe", "lite"])
def test_normalisation_is_the_same_eagerly_and_in_an_export(mode, tmp_path):
    spec, images = a_spec(normalization=mode), tf.cast(an_image(32, 32)[None], tf.float32)
    np.testing.assert_allclose(in_an_export(spec.normalize, images, tmp_path), spec.normalize(images), atol=1e-5)


@pytest.mark.parametrize("rule", ["short_side", "crop_first", "squash"])
def test_a_square_image_of_the_right_size_is_not_changed_without_a_crop(rule):
    image = an_image(32, 32)
    np.testing.assert_allclose(a_spec(rule, crop_fraction=1.0).evaluation_transform(image), image, atol=1e-4)


def test_short_side_crops_the_centre_of_a_wide_image():
    image = np.zeros((64, 192, 3), np.uint8)
    image[:, 64:128] = 255  # the central square
    square = a_spec("short_side", crop_fraction=0.5).evaluation_transform(image)
    assert float(tf.reduce_min(square)) == 255


@pytest.mark.parametrize("rule", RULES)
def test_of_a_file_no_more_is_decoded_than_needed_and_the_values_are_those_of_its_pixels(rule):
    file = tf.io.encode_jpeg(an_image(75, 53))
    expected = a_spec(rule).evaluation_transform(decode_image(file))
    np.testing.assert_array_equal(a_spec(rule).evaluation_transform(file), expected)


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (53, 74)])
def test_the_central_part_is_that_of_tensorflow(size):
    image = an_image(*size)
    part = decode_image(image, a_spec("central_fraction")._central_part)
    np.testing.assert_array_equal(part, tf.image.central_crop(image, 0.875))


def test_crop_first_drops_the_fraction_of_a_pixel_and_leaves_as_many_around_at_every_size():
    spec = a_spec("crop_first", crop_fraction=0.5)  # 32 of 64: 32 pixels around
    image = np.zeros((101, 101, 3), np.uint8)
    image[26:76, 26:76] = 255  # 50 of 101, where 50.5 are the half
    assert float(tf.reduce_min(spec.evaluation_transform(image))) == pytest.approx(255, abs=1e-3)
    assert spec.with_image_size(96).crop_fraction == 0.75


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_without_half_pixel_centres_it_is_the_resize_of_tensorflow_1(interpolation):
    spec, image = (
        a_spec("squash", interpolation=interpolation, antialias=False, half_pixel_centers=False),
        an_image(50, 70),
    )
    of_tensorflow_1 = getattr(tf.compat.v1.image, f"resize_{interpolation}")(image[None], (32, 32))[0]
    np.testing.assert_array_equal(spec.evaluation_transform(image), tf.clip_by_value(of_tensorflow_1, 0, 255))


def test_what_tensorflow_1_trained_is_resized_as_it_did():
    of_slim = ("MobileNet", "Inception", "NASNet", "ResNet50V2", "ResNet101V2", "ResNet152V2")
    for name in backbone_names():
        first = name.startswith((*of_slim, "EfficientNetB"))
        assert backbone_spec(name).default_weights.preprocess.half_pixel_centers == (not first), name


def test_pad_keeps_everything_and_adds_black():
    square = a_spec("pad").evaluation_transform(np.full((64, 32, 3), 255, np.uint8)).numpy()
    assert square[:, 8:24].min() == 255
    assert square[:, :7].max() == square[:, 25:].max() == 0


@pytest.mark.parametrize(
    ("rule", "kept"), [("short_side", 0.875**2 / 3), ("central_fraction", 0.875**2), ("squash", 1.0), ("pad", 1.0)]
)
def test_kept_fraction_of_an_elongated_image(rule, kept):
    assert a_spec(rule).kept_fraction(np.array([100]), np.array([300])) == pytest.approx(kept)


def test_json_there_and_back():
    assert PreprocessSpec.from_json(a_spec().to_json()) == a_spec()


def test_the_users_resize_replaces_the_rule():
    assert a_spec().with_resize("original") == a_spec()
    assert a_spec().with_resize("squash").rule == "squash"


@pytest.mark.parametrize("name", [name for name in backbone_names() if backbone_spec(name).module])
def test_normalize_is_keras_own(name):
    backbone, spec = backbone_spec(name), backbone_spec(name).default_weights.preprocess
    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    traced = keras.Input((8, 8, 3))
    model = keras.Model(traced, spec.normalize(traced))
    expected = importlib.import_module(f"keras.applications.{backbone.module}").preprocess_input(images.copy())
    np.testing.assert_array_equal(model(images), expected)


SLOW_LOSSES = [pytest.param(*row, marks=pytest.mark.slow) for row in (("squash", 0.0), ("bgr", 0.05), ("caffe", 0.5))]


@pytest.mark.long
@pytest.mark.parametrize(("wrong", "lost"), [("x/255", 0.05), *SLOW_LOSSES])
def test_on_real_photos_the_right_preprocessing_is_the_best(shared_data, top_1, wrong, lost):
    assert top_1("right") >= 0.88
    assert top_1("right") - top_1(wrong) >= lost


@pytest.fixture(scope="module")
def top_1(shared_data):
    """A function from a kind of preprocessing to the accuracy of the real MobileNetV2 on 200 ImageNet photos."""
    model = keras.applications.MobileNetV2(weights="imagenet")
    right = backbone_spec("MobileNetV2").default_weights.preprocess
    files = sorted((shared_data / "imagenet_samples").glob("*.JPEG"))
    labels = np.array([int(file.name[:3]) for file in files])
    normalize = {
        "right": right.normalize,
        "squash": right.normalize,
        "x/255": lambda images: images / 255,
        "bgr": lambda images: right.normalize(images)[..., ::-1],
        "caffe": keras.applications.resnet50.preprocess_input,
    }

    @functools.cache
    def images(resize):
        spec = right.with_resize(resize)
        decoded = tf.data.Dataset.from_tensor_slices([str(file) for file in files]).map(
            lambda file: spec.evaluation_transform(tf.io.decode_jpeg(tf.io.read_file(file), channels=3)),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return np.stack(list(decoded.as_numpy_iterator()))

    @functools.cache
    def accuracy(kind):
        chosen = images("squash" if kind == "squash" else "original").copy()
        return float(np.mean(model.predict(normalize[kind](chosen), verbose=0).argmax(-1) == labels))

    return accuracy


@pytest.mark.parametrize(
    ("rule", "size", "pixels"),
    [
        ("short_side", (1000, 800), 1000 * 800),
        ("short_side", (8, 16_000), 256 * 512_000),
        ("short_side", (100, 100), 256 * 256),
        ("squash", (1, 100_000), 224 * 100_000),
        ("squash", (8, 8), 224 * 224),
        ("pad", (100_000, 1), 100_000 * 224),
    ],
)
def test_resizing_a_narrow_image_takes_more_than_the_image(rule, size, pixels):
    crop_fraction = 224 / 256 if rule == "short_side" else 1.0
    spec = PreprocessSpec(
        image_size=224,
        rule=rule,
        crop_fraction=crop_fraction,
        interpolation="bilinear",
        antialias=True,
        normalization="tf",
    )
    assert spec.resized_pixels(*size) == pixels
