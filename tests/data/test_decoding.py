"""Tests of tl_keras.data.decoding: real files written by Pillow, compared with what Pillow reads."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tl_keras.data.decoding import JpegFile, decode_image

PIXELS = np.random.default_rng(0).integers(0, 256, (13, 17, 4), np.uint8)
RGB = Image.fromarray(PIXELS[..., :3])
GREY = Image.fromarray(PIXELS[..., 0])
RGBA = Image.fromarray(PIXELS)
GREY_ALPHA = Image.merge("LA", [GREY, Image.fromarray(PIXELS[..., 3])])
PALETTE = RGB.quantize(23)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
@pytest.mark.parametrize("image", [RGB, GREY, PALETTE], ids=["rgb", "grey", "palette"])
def test_lossless_files_decode_to_the_pixels_that_were_written(image, kind):
    decoded = decode_image(tf.constant(encoded(image, kind)))
    np.testing.assert_array_equal(decoded, image.convert("RGB"))


@pytest.mark.parametrize("window", [None, lambda shape: (shape // 4, shape // 2)], ids=["whole", "window"])
def test_what_is_known_to_be_a_jpeg_is_decoded_alike_and_not_asked(window):
    file = tf.constant(encoded(RGB, "JPEG"))
    decode = tf.function(lambda contents: decode_image(JpegFile(contents), window))
    np.testing.assert_array_equal(decode(file), decode_image(file, window))
    operations = {operation.type for operation in decode.get_concrete_function(file).graph.get_operations()}
    assert not operations & {"If", "StatelessIf"}


@pytest.mark.parametrize(
    ("image", "kind"), [(RGBA, "PNG"), (RGBA, "BMP"), (GREY_ALPHA, "PNG")], ids=["rgba png", "rgba bmp", "grey alpha"]
)
def test_alpha_is_dropped(image, kind):
    np.testing.assert_array_equal(decode_image(tf.constant(encoded(image, kind))), image.convert("RGB"))


def test_a_16_bit_png_keeps_its_upper_byte():
    deep = np.random.default_rng(0).integers(0, 65536, (13, 17)).astype(np.uint16)
    decoded = decode_image(tf.constant(encoded(Image.fromarray(deep), "PNG")))
    np.testing.assert_array_equal(decoded, np.repeat(deep[..., np.newaxis] >> 8, 3, axis=2))


def test_the_first_frame_of_a_gif_is_taken():
    file = encoded(PALETTE, "GIF", save_all=True, append_images=[GREY.convert("P")])
    np.testing.assert_array_equal(decode_image(tf.constant(file)), PALETTE.convert("RGB"))


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
    np.testing.assert_array_equal(part, PIXELS[6:10, 8:13, :3])


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
    expected = PIXELS[..., :3] if channels > 2 else np.repeat(PIXELS[..., :1], 3, axis=2)
    np.testing.assert_array_equal(decode_image(tf.constant(PIXELS[..., :channels])), expected)


def test_the_graph_knows_three_channels():
    files = tf.data.Dataset.from_tensors(encoded(RGB, "PNG")).map(decode_image)
    assert files.element_spec == tf.TensorSpec((None, None, 3), tf.uint8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF"])
def test_a_truncated_file_raises(kind):
    file = encoded(RGB, kind)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_image(tf.constant(file[: len(file) // 2]))


@pytest.mark.parametrize("file", [b"", b"BM", b"no image"])
def test_something_else_raises(file):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_image(tf.constant(file))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF"])
def test_eagerly_in_a_pipeline_and_in_an_export_the_pixels_are_the_same(kind, tmp_path):
    file = tf.constant(encoded(RGB, kind))
    module = tf.Module()
    module.serve = tf.function(decode_image, input_signature=[tf.TensorSpec((), tf.string)])
    tf.saved_model.save(module, tmp_path)
    eager = decode_image(file)
    np.testing.assert_array_equal(next(iter(tf.data.Dataset.from_tensors(file).map(decode_image))), eager)
    np.testing.assert_array_equal(tf.saved_model.load(tmp_path).serve(file), eager)
