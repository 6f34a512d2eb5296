"""Tests of tl_keras.data.conversion, on real files of every kind that it converts."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.files_of_every_kind import GREY, ONE_BIT, RGB, RGBA, SMOOTH_RGB, as_pillow_reads, encoded
from tl_keras.data import conversion
from tl_keras.data.base import as_readable
from tl_keras.data.decoding import decode_image
from tl_keras.data.folder import FolderSource
from tl_keras.data.image_header import reason_not_to_decode
from tl_keras.data.inspection import inspect_source
from tl_keras.data.options import SourceOptions
from tl_keras.data.sources import open_source
from tl_keras.errors import DataError

pillow_heif = pytest.importorskip("pillow_heif", reason="pip install 'tl_keras[formats]'")

DEEP = Image.fromarray(np.random.default_rng(0).integers(0, 65536, (13, 17)).astype(np.uint16))


def heic(image):
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, quality=-1, chroma=444)
    return file.getvalue()


KINDS = {
    "tif": encoded(RGB, "TIFF"),
    "tiff": encoded(RGBA, "TIFF", compression="tiff_lzw"),
    "TIF": encoded(RGB, "TIFF", tiffinfo={274: 6}),
    "tif of inks": encoded(SMOOTH_RGB.convert("CMYK"), "TIFF"),
    "tif of pages": encoded(GREY, "TIFF", save_all=True, append_images=[GREY.rotate(180)]),
    "avif": encoded(SMOOTH_RGB, "AVIF"),
    "jp2": encoded(RGB, "JPEG2000"),
    "ppm": encoded(RGB, "PPM"),
    "pgm": encoded(GREY, "PPM"),
    "pbm": encoded(ONE_BIT, "PPM"),
    "ppm as text": b"P3\n# by hand\n2 1\n255\n255 0 0  0 0 255\n",
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_converted_has_the_pixels_that_pillow_gives(kind):
    png = conversion.to_png(KINDS[kind])
    np.testing.assert_array_equal(decode_image(tf.constant(png)), as_pillow_reads(KINDS[kind]))


def test_heic_is_converted():
    pixels = decode_image(tf.constant(conversion.to_png(heic(SMOOTH_RGB)))).numpy().astype(int)
    assert np.abs(pixels - np.asarray(SMOOTH_RGB)).mean() < 2


def test_sixteen_bits_stay_sixteen():
    with Image.open(io.BytesIO(conversion.to_png(encoded(DEEP, "TIFF")))) as png:
        np.testing.assert_array_equal(png, DEEP)


def values(numbers, tiff_type):
    """Returns a TIFF file without compression of a row of numbers, of a NumPy type such as >u2."""
    stored = np.array(numbers, tiff_type)
    order = ">" if stored.dtype.byteorder == ">" else "<"
    data, form = stored.tobytes(), {"u": 1, "i": 2, "f": 3}[stored.dtype.kind]
    # Width, height, bits, no compression, black is zero, where the row is, channels, rows, bytes, kind of the numbers.
    tags = {
        256: len(numbers),
        257: 1,
        258: 8 * stored.itemsize,
        259: 1,
        262: 1,
        273: 134,
        277: 1,
        278: 1,
        279: len(data),
        339: form,
    }
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = (b"MM" if order == ">" else b"II") + struct.pack(order + "HI", 42, 8)
    return head + struct.pack(order + "H", len(tags)) + entries + bytes(4) + data


@pytest.mark.parametrize("tiff_type", ["<u2", ">u2", "<i4", ">i4"])
def test_sixteen_bits_in_any_order_of_bytes_are_kept(tiff_type):
    with Image.open(io.BytesIO(conversion.to_png(values([0, 7, 300, 65535], tiff_type)))) as png:
        assert np.asarray(png).tolist() == [[0, 7, 300, 65535]]


OUTSIDE = {
    "fractions": (values([0, 0.5, 1], "<f4"), "of decimal numbers"),
    "negative numbers": (values([-5, 0, 9], "<i2"), "of values outside 0 to 65,535"),
    "32 bits": (values([0, 1, 70_000], ">i4"), "of values outside 0 to 65,535"),
}


@pytest.mark.parametrize(("file", "reason"), OUTSIDE.values(), ids=OUTSIDE)
def test_values_that_no_picture_has_are_left_out_with_the_reason(file, reason, tmp_path):
    for number in range(4):
        place = tmp_path / f"class{number % 2}"
        place.mkdir(exist_ok=True)
        RGB.rotate(90 * number).save(place / f"{number}.png")
    (tmp_path / "class0" / "odd.tif").write_bytes(file)
    inspection = inspect_source(FolderSource(str(tmp_path), cache_folder=str(tmp_path / "cache")))
    (sentence,) = inspection.left_out()
    assert (
        sentence == f"1 image is {reason}, which are to be saved as 8 or 16 bits first, and is left out: class0/odd.tif"
    )


def damaged_avifs():
    """Yields AVIF files with one byte changed, from the place on where the pixels begin."""
    whole = encoded(SMOOTH_RGB, "AVIF")
    for place in range(whole.index(b"mdat") + 4, len(whole), 40):
        yield whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]


@pytest.mark.long
def test_whatever_the_decoder_of_a_damaged_file_raises_it_is_left_out(tmp_path):
    for number, contents in enumerate(damaged_avifs()):
        place = tmp_path / "photos" / f"class{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.avif").write_bytes(contents)
        RGB.save(place / f"{number}.png")
    inspection = inspect_source(FolderSource(str(tmp_path / "photos"), cache_folder=str(tmp_path / "cache")))
    assert inspection.undecodable
    assert all(name.endswith(".avif") for name in inspection.undecodable)


def test_a_converted_file_is_made_once_and_found_by_its_content(tmp_path, monkeypatch):
    made = conversion.readable(KINDS["tif"], str(tmp_path))
    monkeypatch.setattr(conversion, "to_png", None)  # not called again
    assert conversion.readable(KINDS["tif"], str(tmp_path)) == made
    assert [path.read_bytes() for path in (tmp_path / "converted").iterdir()] == [made]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_to_be_converted_is_told_by_its_content(kind, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(KINDS[kind])
    read = as_readable(tf.io.read_file(str(tmp_path / "photo.jpg")), cache=str(tmp_path))
    np.testing.assert_array_equal(decode_image(read), as_pillow_reads(KINDS[kind]))


@pytest.mark.parametrize(
    "contents", [b"", b"\xff", *(encoded(RGB, kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP"))]
)
def test_other_files_stay_as_they_are(contents, tmp_path):
    assert as_readable(tf.constant(contents), cache=str(tmp_path)).numpy() == contents
    assert not list(tmp_path.iterdir())


def test_where_the_cache_cannot_be_written_a_file_is_converted_all_the_same(tmp_path, capsys):
    (tmp_path / "file").touch()
    for _ in range(2):
        assert conversion.readable(KINDS["tif"], str(tmp_path / "file" / "cache")).startswith(b"\x89PNG")
    assert capsys.readouterr().err.count("images are converted again each time") == 1


def test_a_heic_photo_under_the_name_of_a_jpeg_is_read(tmp_path):
    for number in range(4):
        place = tmp_path / f"class{number % 2}"
        place.mkdir(exist_ok=True)
        RGB.rotate(90 * number).save(place / f"{number}.png")
    (tmp_path / "class0" / "IMG_0001.jpg").write_bytes(heic(SMOOTH_RGB))
    source = FolderSource(str(tmp_path), cache_folder=str(tmp_path / "cache"))
    assert inspect_source(source).decodable.all()
    assert len(list((tmp_path / "cache" / "converted").iterdir())) == 1


def test_a_folder_of_tiffs_is_a_source(tmp_path):
    for number in range(4):
        place = tmp_path / f"class{number % 2}"
        place.mkdir(exist_ok=True)
        RGB.rotate(90 * number).save(place / f"{number}.tif")
    (tmp_path / "class0" / "damaged.tif").write_bytes(b"II*\0")
    source = FolderSource(str(tmp_path))
    assert source.ids[0] == "class0/0.tif"
    inspection = inspect_source(source)
    assert inspection.decodable.sum() == 4
    assert inspection.undecodable == ("class0/damaged.tif",)
    np.testing.assert_array_equal(decode_image(tf.constant(source.encoded_image(0))), RGB)


@pytest.mark.long
def test_in_records_and_datasets_they_are_converted_too(tmp_path):
    files = [encoded(RGB.rotate(90 * number), kind) for number, kind in enumerate(("TIFF", "PNG", "JPEG2000", "PNG"))]
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        for number, file in enumerate(files):
            features = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[file])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[number % 2])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    options = SourceOptions(cache_folder=str(tmp_path / "cache"))
    dataset = tf.data.Dataset.from_tensor_slices((files, [0, 1, 0, 1]))
    for given in (f"tfrecord:{tmp_path}/a.tfrecord", dataset):
        source = open_source(given, options)
        assert inspect_source(source).decodable.all()
        np.testing.assert_array_equal(decode_image(tf.constant(source.encoded_image(0))), RGB)


def test_what_is_too_large_to_convert_is_said(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert reason_not_to_decode(KINDS["tif"], max_pixels=10**9) == "too large to convert, over 20 pixels"


def test_without_the_extra_the_files_are_counted_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "can_convert", lambda: False)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        RGB.save(tmp_path / name / "1.png")
        RGB.save(tmp_path / name / "2.tif")
    count, remedy, *_ = FolderSource(str(tmp_path)).notes
    assert count == "other files, left alone: 2 .tif"
    assert remedy.endswith("are read after pip install 'tl_keras[formats]'")
    assert reason_not_to_decode(KINDS["tif"], max_pixels=10**6).startswith("in TIFF, which is read after pip install")


def test_what_cannot_be_read_is_one_line():
    with pytest.raises(DataError, match="expected a file that Pillow reads"):
        conversion.to_png(b"nothing")
