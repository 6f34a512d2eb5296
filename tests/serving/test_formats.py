"""Every format is written by its own converter and run in its real runtime."""

import importlib.util

import keras
import numpy as np
import pytest

from tl_keras.backbones.preprocessing import PreprocessSpec
from tl_keras.serving.export import export_run
from tl_keras.serving.formats import FORMATS
from tl_keras.serving.model_file import TrainedModel
from tl_keras.serving.student_statistics import fit_student_statistics
from tl_keras.tasks.single_label import SINGLE_LABEL


def require(name):
    for module in FORMATS[name].modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install 'tl_keras[{FORMATS[name].extra}]'")


@pytest.fixture(scope="module")
def with_swish():
    """A tiny student with swish, which has a gradient of its own."""
    images = keras.Input((8, 8, 3))
    features = keras.layers.GlobalAveragePooling2D(name="features")(
        keras.layers.Conv2D(4, 3, activation="swish")(images)
    )
    model = keras.Model(images, keras.layers.Dense(2)(features))
    rows = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    statistics = fit_student_statistics(
        train_features=rows,
        validation_features=rows,
        validation_logits=rows[:, :2],
        validation_labels=np.arange(9) % 2,
        classes=2,
        task=SINGLE_LABEL,
    )
    preprocess = PreprocessSpec(
        image_size=8, rule="squash", crop_fraction=1.0, interpolation="bilinear", antialias=True, normalization="tf"
    )
    return TrainedModel(model, preprocess, ("a", "b"), statistics, SINGLE_LABEL)


@pytest.mark.parametrize("name", ["saved_model", "litert", "onnx", "openvino"])
def test_an_activation_with_a_gradient_of_its_own_is_written(name, with_swish, tmp_path):
    require(name)
    FORMATS[name].write(with_swish, tmp_path / (FORMATS[name].file or "saved_model"), lambda: np.zeros((1, 8, 8, 3)))
    assert any(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "saved_model"])
def test_a_format_answers_in_its_runtime_as_training_did(name, embedded, source):
    require(name)
    (row,) = export_run(embedded.path, (name,), source=source)
    assert row["largest_logit_difference"] <= {
        "litert_float16": 0.02,
        "litert_dynamic_int8": 0.2,
        "litert_int8": 0.5,
    }.get(name, 1e-5)
    assert row["top_1_agreement"] >= (0.8 if name == "litert_int8" else 0.95)
    assert (embedded.path / row["path"] / "labels.txt").is_file()


@pytest.mark.slow
def test_fewer_bits_are_smaller_files(embedded):
    sizes = {
        name: (path / "model.tflite").stat().st_size
        for name in ("litert", "litert_float16", "litert_dynamic_int8", "litert_int8")
        if (path := embedded.path / name / "1").is_dir()
    }
    if len(sizes) < 4:
        pytest.skip("LiteRT's runtime is not installed: pip install 'tl_keras[litert]'")
    assert max(sizes["litert_int8"], sizes["litert_dynamic_int8"]) < sizes["litert_float16"] < sizes["litert"]
