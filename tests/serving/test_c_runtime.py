"""TensorFlow's own C++ runtime, without Python, answers as training did."""

import pathlib
import shutil
import subprocess

import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from tl_keras.serving.predictor import predict_images


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The compiled ask.c."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    library = pathlib.Path(tf.sysconfig.get_lib())
    flags = [f"-I{tf.sysconfig.get_include()}", f"-L{library}", f"-Wl,-rpath,{library}"]
    flags += [
        f"-l:{file.name}"
        for pattern in ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")
        for file in library.glob(pattern)
    ]
    path = tmp_path_factory.mktemp("c") / "ask"
    subprocess.run(["gcc", pathlib.Path(__file__).with_name("ask.c"), "-o", path, *flags], check=True)
    return path


@pytest.mark.slow
def test_a_c_program_reads_an_image_file_and_prints_the_label(run, program, tmp_path):
    for index in (0, 4, 9):
        pixels = tf.io.decode_png((run.path / "images" / f"{index}.png").read_bytes(), channels=3)
        (tmp_path / f"{index}.jpg").write_bytes(tf.io.encode_jpeg(tf.tile(pixels, [4, 3, 1])).numpy())
    version = run.path / "saved_model" / "1"
    saved = SavedModel.FromString((version / "saved_model.pb").read_bytes())
    signature = saved.meta_graphs[0].signature_def["serving_default"]
    takes = signature.inputs["image_bytes"].name.partition(":")[0]
    gives, _, position = signature.outputs["label"].name.partition(":")
    for row in predict_images(run.path, [tmp_path]):
        command = [program, version, row["file"], takes, gives, position]
        asked = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
        assert asked.stdout == row["label"] + "\n"
