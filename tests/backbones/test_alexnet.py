"""Tests of tl_keras.backbones.alexnet; what PyTorch makes of the same weights was computed once."""

import collections
import io
import pathlib
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest

from tl_keras.backbones.specs import backbone_spec
from tl_keras.backbones.weights import load_weights
from tl_keras.builder import build_backbone, choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.errors import BackboneError


def an_alexnet(image_size=224):
    return build_backbone(choose_backbone(ModelConfig(backbone="AlexNet", weights="none", image_size=image_size)))


def write_as_pytorch(path, state, monkeypatch):
    """Writes arrays as `torch.save` writes a state dictionary, in a zip archive."""
    modules = {"torch._utils": "_rebuild_tensor_v2", "torch": "FloatStorage"}
    for module, name in modules.items():
        stand_in = type(name, (), {"__module__": module})
        monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(**{name: stand_in}))
    rebuild, storage = sys.modules["torch._utils"]._rebuild_tensor_v2, sys.modules["torch"].FloatStorage

    class Storage:
        def __init__(self, key, count):
            self.pid = ("storage", storage, key, "cpu", count)

    class Tensor:
        def __init__(self, key, array):
            stride = tuple(step // array.itemsize for step in array.strides)
            self.made_of = (Storage(key, array.size), 0, array.shape, stride, False, collections.OrderedDict())

        def __reduce__(self):
            return rebuild, self.made_of

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return obj.pid if isinstance(obj, Storage) else None

    pickled = io.BytesIO()
    tensors = {name: Tensor(str(key), array) for key, (name, array) in enumerate(state.items())}
    Pickler(pickled, protocol=2).dump(collections.OrderedDict(tensors))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("alexnet/data.pkl", pickled.getvalue())
        for key, array in enumerate(state.values()):
            archive.writestr(f"alexnet/data/{key}", array.tobytes())


# Where torchvision's `features` has its convolutions, and their kernels as PyTorch has them.
KERNELS = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}


def weights_and_images():
    """The weights and images from which PyTorch 2.15 computed torch_files/alexnet_features.npy."""
    random, state = np.random.RandomState(0), {}
    for position, shape in KERNELS.items():
        scale = (3 / np.prod(shape[1:])) ** 0.5
        state[f"features.{position}.weight"] = (random.uniform(-1, 1, shape) * scale).astype(np.float32)
        state[f"features.{position}.bias"] = random.uniform(-0.1, 0.1, shape[0]).astype(np.float32)
    return state, random.normal(size=(2, 95, 95, 3)).astype(np.float32)


@pytest.mark.parametrize(("image_size", "side"), [(224, 6), (63, 1)])
def test_the_feature_map_has_torchvisions_size(image_size, side):
    assert an_alexnet(image_size).output.shape == (None, side, side, 256)


def test_parameters_and_blocks_are_those_of_the_spec():
    backbone, spec = an_alexnet(63), backbone_spec("AlexNet")
    assert backbone.count_params() == spec.parameters
    assert spec.blocks[-1].anchor == backbone.layers[-1].name


def test_weights_of_pytorch_give_pytorchs_features(tmp_path, monkeypatch):
    state, images = weights_and_images()
    write_as_pytorch(tmp_path / "alexnet.pth", state, monkeypatch)
    backbone = an_alexnet(95)
    load_weights(backbone, str(tmp_path / "alexnet.pth"))
    expected = np.load(pathlib.Path(__file__).parent / "torch_files" / "alexnet_features.npy")
    np.testing.assert_allclose(backbone(images), expected, atol=1e-5)


def test_an_altered_published_file_is_refused_by_name(tmp_path):
    (tmp_path / "alexnet-owt-7be5be79.pth").write_bytes(b"altered")
    with pytest.raises(BackboneError, match=r"begins with 7be5be79\. Received: .*alexnet-owt-7be5be79\.pth"):
        load_weights(an_alexnet(63), str(tmp_path / "alexnet-owt-7be5be79.pth"))


def test_weights_of_another_network_are_one_line(tmp_path, monkeypatch):
    write_as_pytorch(tmp_path / "other.pth", {"classifier.weight": np.ones((2, 2), np.float32)}, monkeypatch)
    with pytest.raises(BackboneError, match=r"Received: .*other\.pth, which does not fit \('features\.0\.weight'\)"):
        load_weights(an_alexnet(63), str(tmp_path / "other.pth"))
