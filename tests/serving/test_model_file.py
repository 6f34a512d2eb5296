"""Tests of tl_keras.serving.model_file."""

import shutil
import zipfile

import keras
import pytest

from tl_keras.backbones.teacher_files import ENTRY
from tl_keras.errors import BackboneError
from tl_keras.serving.model_file import load_model
from tl_keras.tasks.single_label import SINGLE_LABEL


def test_what_was_saved_is_read(run, source):
    trained = load_model(run.model)
    assert trained.class_names == source.class_names
    assert trained.task is SINGLE_LABEL
    assert trained.model.input_shape[1:] == (trained.preprocess.image_size,) * 2 + (3,)
    assert trained.model.output_shape == (None, 3)
    assert trained.statistics.temperature > 0


def test_plain_keras_loads_it(run):
    model = keras.saving.load_model(run.model, compile=False)
    assert model.output_shape == (None, 3)


def without(path, entry, copy):
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(copy, "w") as archive:
        for name in whole.namelist():
            if name != entry:
                archive.writestr(name, whole.read(name))
    return copy


@pytest.mark.parametrize("entry", [ENTRY, "tl_keras.npz"])
def test_a_keras_file_without_our_facts_is_one_line(run, tmp_path, entry):
    copy = without(run.model, entry, tmp_path / "model.keras")
    with pytest.raises(BackboneError, match="written by this version of tl_keras") as raised:
        load_model(copy)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_absent_or_damaged_is_one_line(run, tmp_path):
    with pytest.raises(BackboneError, match="does not exist"):
        load_model(tmp_path / "model.keras")
    shutil.copyfile(run.model, tmp_path / "model.keras")
    with (tmp_path / "model.keras").open("r+b") as file:
        file.truncate(run.model.stat().st_size // 2)
    with pytest.raises(BackboneError, match="that can be read"):
        load_model(tmp_path / "model.keras")
