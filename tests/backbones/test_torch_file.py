"""Tests of tl_keras.backbones.torch_file, on files that PyTorch 2.15 wrote (torch_files/), and on hostile ones."""

import pathlib
import pickle
import shutil
import zipfile

import numpy as np
import pytest

from tl_keras.backbones.specs import backbone_spec
from tl_keras.backbones.torch_file import read_state_dict
from tl_keras.backbones.weights import check_weights_name, load_weights
from tl_keras.builder import build_backbone, choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.errors import BackboneError

FILES = pathlib.Path(__file__).parent / "torch_files"


@pytest.mark.parametrize("name", ["zip.pth", "sequence.pth"])
def test_the_tensors_are_those_that_pytorch_saved(name):
    read, expected = read_state_dict(FILES / name), np.load(FILES / "expected.npz")
    assert list(read) == list(expected)  # a view of a larger storage, halves, whole numbers and an empty one among them
    for key, tensor in read.items():
        np.testing.assert_array_equal(tensor, expected[key], strict=True)


class Trap:
    def __init__(self, touched):
        self.touched = touched

    def __reduce__(self):
        return pathlib.Path.touch, (self.touched,)


def in_zip(path, pickled):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)


def in_sequence(path, pickled):
    path.write_bytes(pickled)


@pytest.mark.parametrize("write", [in_zip, in_sequence])
def test_a_pickle_that_would_run_code_is_refused_and_not_run(tmp_path, write):
    trap = pickle.dumps(Trap(tmp_path / "ran"), protocol=2)
    write(tmp_path / "trap.pth", trap)
    with pytest.raises(pickle.UnpicklingError, match="which no weights need"):
        read_state_dict(tmp_path / "trap.pth")
    assert not (tmp_path / "ran").exists()
    pickle.loads(trap)
    assert (tmp_path / "ran").exists()  # it would have been run


def shortened(path):
    """Takes the last storage's last numbers away."""
    path.write_bytes((FILES / "sequence.pth").read_bytes()[:-8])


def without_storages(path):
    with zipfile.ZipFile(FILES / "zip.pth") as archive, zipfile.ZipFile(path, "w") as other:
        for name in archive.namelist():
            if "/data/" not in name:
                other.writestr(name, archive.read(name))


def with_shorter_storages(path):
    with zipfile.ZipFile(FILES / "zip.pth") as archive, zipfile.ZipFile(path, "w") as other:
        for name in archive.namelist():
            data = archive.read(name)
            other.writestr(name, data[:4] if "/data/" in name else data)


def of_another_kind(path):
    in_zip(path, pickle.dumps([1, 2]))


def empty(path):
    path.touch()


@pytest.mark.parametrize("make", [shortened, without_storages, with_shorter_storages, of_another_kind, empty])
def test_a_damaged_file_is_one_line(tmp_path, make):
    make(tmp_path / "alexnet.pth")
    backbone = build_backbone(choose_backbone(ModelConfig(backbone="AlexNet", weights="none", image_size=63)))
    with pytest.raises(BackboneError, match=r"Received: .*alexnet\.pth, which does not fit") as raised:
        load_weights(backbone, str(tmp_path / "alexnet.pth"))
    assert "\n" not in str(raised.value)


def test_alexnets_file_is_a_kind_that_is_read(tmp_path):
    shutil.copy(FILES / "zip.pth", tmp_path / "alexnet.pth")
    check_weights_name(str(tmp_path / "alexnet.pth"), backbone_spec("AlexNet"))
