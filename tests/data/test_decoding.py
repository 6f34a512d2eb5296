"""Tests of tl_keras.data.decoding: real files written by Pillow, compared with what Pillow reads."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.files_of_every_kind import (
    GREY,
    PALETTE,
    PIXELS,
    RGB,
    RGBA,
    as_pillow_reads,
    encoded,
    turned,
)
from tl_keras.data.decoding import KnownFile, decode_image, small_jpeg
from tl_keras.data.image_header import read_image_size
from tl_keras.errors import DataError

OVER_WHITE = as_pillow_reads(encoded(RGBA, "PNG"))


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
@pytest.mark.parametrize("image", [RGB, GREY, PALETTE], ids=["rgb", "grey", "palette"])
def test_lossless_files_decode_to_the_pixels_that_were_written(image, kind):
    decoded = decode_image(tf.constant(encoded(image, kind)))
    np.testing.assert_array_equal(decoded, image.convert("RGB"))


@pytest.mark.parametrize("window", [None, lambda shape: (shape // 4, shape // 2)], ids=["whole", "window"])
def test_what_is_known_to_be_a_jpeg_is_decoded_alike_and_not_asked(window):
    file = tf.constant(encoded(RGB, "JPEG"))
    decode = tf.function(
        lambda contents: decode_image(KnownFile(contents, frozenset({"JPEG"}), is_upright=True), window)
    )
    np.testing.assert_array_equal(decode(file), decode_image(file, window))
    operations = {operation.type for operation in decode.get_concrete_function(file).graph.get_operations()}
    assert not operations & {"If", "StatelessIf"}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("orientation_is_known", [False, True])
def test_a_window_of_a_turned_jpeg_has_the_pixels_of_the_upright_one(orientation, orientation_is_known):
    file = tf.constant(turned("JPEG", orientation))
    image = KnownFile(file, frozenset({"JPEG"})) if orientation_is_known else file
    whole = as_pillow_reads(file.numpy())

    def window(shape):  # off the centre, and longer than wide
        return shape // 5, tf.stack([shape[0] // 2, shape[1] // 4])

    (top, left), (height, width) = (part.numpy() for part in window(tf.constant(whole.shape[:2])))
    np.testing.assert_array_equal(decode_image(image, window), whole[top : top + height, left : left + width])


def test_an_image_is_turned_without_the_transpose_that_tensorflow_calls_an_error_where_avx_512_is_missing():
    graph = tf.function(decode_image).get_concrete_function(tf.TensorSpec((), tf.string)).graph.as_graph_def()
    nodes = [node for function in graph.library.function for node in function.node_def]
    assert "GatherV2" in {node.op for node in nodes}
    assert not [node for node in nodes if "Transpose" in node.op]


@pytest.mark.long
@pytest.mark.parametrize("bits", [8, 10, 12, 15, 16])
def test_a_deep_png_is_scaled_by_the_bits_that_it_uses(bits):
    deep = np.random.default_rng(0).integers(0, 2**bits, (13, 17)).astype(np.uint16)
    decoded = decode_image(tf.constant(encoded(Image.fromarray(deep), "PNG")), significant_bits=bits)
    np.testing.assert_array_equal(decoded, np.repeat(deep[..., np.newaxis] >> (bits - 8), 3, axis=2))
    shallow = tf.constant(encoded(GREY, "PNG"))
    np.testing.assert_array_equal(decode_image(shallow, significant_bits=bits), GREY.convert("RGB"))


def test_black_drawings_on_transparency_are_seen():
    drawing = np.zeros((9, 9, 4), np.uint8)
    drawing[4, :, 3] = 255
    decoded = decode_image(tf.constant(encoded(Image.fromarray(drawing), "PNG"))).numpy()
    assert decoded[4].max() == 0
    assert decoded[:4].min() == decoded[5:].min() == 255


def test_a_16_bit_png_keeps_its_upper_byte():
    deep = np.random.default_rng(0).integers(0, 65536, (13, 17)).astype(np.uint16)
    decoded = decode_image(tf.constant(encoded(Image.fromarray(deep), "PNG")))
    np.testing.assert_array_equal(decoded, np.repeat(deep[..., np.newaxis] >> 8, 3, axis=2))


@pytest.mark.parametrize("image", [RGB, GREY], ids=["rgb", "grey"])
def test_a_jpeg_decodes_exactly_as_pillow_does(image):
    file = encoded(image, "JPEG", quality=80)
    np.testing.assert_array_equal(decode_image(tf.constant(file)), Image.open(io.BytesIO(file)).convert("RGB"))


@pytest.mark.parametrize("how", [{"subsampling": kind} for kind in (0, 1, 2)] + [{"progressive": True}], ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_window_has_the_pixels_of_the_whole_image_wherever_it_is(mode, how):
    file = tf.constant(encoded(RGB.resize((71, 53)).convert(mode), "JPEG", **how))
    whole, rng = decode_image(file).numpy(), np.random.default_rng(0)
    for height, width in rng.integers(1, (54, 72), (50, 2)):
        top, left = rng.integers(0, (54 - height, 72 - width))
        part = decode_image(file, lambda _, at=(top, left), size=(height, width): (tf.stack(at), tf.stack(size)))
        np.testing.assert_array_equal(part, whole[top : top + height, left : left + width])


@pytest.mark.parametrize("image", [PIXELS, encoded(RGBA, "PNG")], ids=["pixels", "png"])
def test_a_window_of_what_is_no_jpeg(image):
    part = decode_image(tf.constant(image), lambda whole: (whole // 2, whole // 3))
    np.testing.assert_array_equal(part, OVER_WHITE[6:10, 8:13])


def test_a_cmyk_jpeg_looks_as_in_pillow():
    smooth = RGB.resize((68, 52), Image.Resampling.BICUBIC).convert("CMYK")
    file = encoded(smooth, "JPEG", quality=95)
    expected = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), np.int16)
    assert np.abs(decode_image(tf.constant(file)).numpy() - expected).mean() < 4


def test_real_photos_decode_exactly_as_pillow_does(shared_data):
    for path in sorted((shared_data / "imagenet_samples").glob("*.JPEG"))[:10]:
        np.testing.assert_array_equal(decode_image(tf.io.read_file(str(path))), Image.open(path).convert("RGB"))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pixels_of_any_channels_become_rgb(channels):
    expected = {
        1: GREY.convert("RGB"),
        2: as_pillow_reads(encoded(Image.merge("LA", [GREY, Image.fromarray(PIXELS[..., 1])]), "PNG")),
        3: RGB,
        4: OVER_WHITE,
    }[channels]
    np.testing.assert_array_equal(decode_image(tf.constant(PIXELS[..., :channels])), expected)


def test_the_graph_knows_three_channels():
    files = tf.data.Dataset.from_tensors(encoded(RGB, "PNG")).map(decode_image)
    assert files.element_spec == tf.TensorSpec((None, None, 3), tf.uint8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF"])
def test_a_truncated_file_raises(kind):
    file = encoded(RGB, kind)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_image(tf.constant(file[: len(file) // 2]))


def test_a_truncated_jpeg_is_refused_but_by_a_graph_that_needs_nothing_of_what_is_missing():
    tall = Image.fromarray(np.random.default_rng(0).integers(0, 256, (256, 64, 3), np.uint8))
    whole = encoded(tall, "JPEG")
    cut = whole[: int(0.9 * len(whole))]

    def middle(shape):
        return (shape - 64) // 2, tf.constant([64, 64])

    np.testing.assert_array_equal(decode_image(tf.constant(cut), middle), decode_image(tf.constant(whole), middle))
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_image(tf.constant(cut))
    with pytest.raises(DataError, match="a JPEG without an end"):
        read_image_size(cut)


@pytest.mark.parametrize("file", [b"", b"BM", b"no image"])
def test_something_else_raises(file):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_image(tf.constant(file))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF"])
def test_eagerly_in_a_pipeline_and_in_an_export_the_pixels_are_the_same(kind, tmp_path):
    file = tf.constant(encoded(RGB, kind))
    module = tf.Module()
    module.serve = tf.function(decode_image, input_signature=[tf.TensorSpec((), tf.string)])
    tf.saved_model.save(module, tmp_path)
    eager = decode_image(file)
    np.testing.assert_array_equal(next(iter(tf.data.Dataset.from_tensors(file).map(decode_image))), eager)
    np.testing.assert_array_equal(tf.saved_model.load(tmp_path).serve(file), eager)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(20, 9000, (1, 84)), (9000, 20, (84, 1)), (100, 250, (34, 84)), (4, 3, (84, 63))],
)
def test_a_small_picture_keeps_the_aspect_and_at_least_a_pixel_of_each_side(height, width, expected):
    picture = tf.io.decode_jpeg(small_jpeg(np.full((height, width, 3), 90, np.uint8), 84))
    assert picture.shape == (*expected, 3)
    assert abs(int(picture[0, 0, 0]) - 90) <= 2
