"""Every format is written by its own converter and run in its real runtime."""

import importlib.util

import pytest

from tl_keras.serving.export import export_run
from tl_keras.serving.formats import FORMATS


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "saved_model"])
def test_a_format_answers_in_its_runtime_as_training_did(name, run, source):
    for module in FORMATS[name].modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install 'tl_keras[{FORMATS[name].extra}]'")
    (row,) = export_run(run.path, (name,), source=source)
    assert row["largest_difference"] <= {"litert_float16": 0.05, "litert_int8": 0.5}.get(name, 1e-5)
    assert row["top_1_agreement"] >= (0.8 if name == "litert_int8" else 0.95)
    assert (run.path / row["path"] / "labels.txt").is_file()


@pytest.mark.slow
def test_fewer_bits_are_smaller_files(run):
    sizes = {
        name: (path / "model.tflite").stat().st_size
        for name in ("litert", "litert_float16", "litert_int8")
        if (path := run.path / name / "1").is_dir()
    }
    if len(sizes) < 3:
        pytest.skip("LiteRT's runtime is not installed: pip install 'tl_keras[litert]'")
    assert sizes["litert_int8"] < sizes["litert_float16"] < sizes["litert"]
