"""Tests of tl_keras.backbones.alexnet; those of the conversion need PyTorch."""

import sys

import numpy as np
import pytest

from tl_keras.backbones.specs import backbone_spec
from tl_keras.backbones.weights import load_weights
from tl_keras.builder import build_backbone, choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.errors import BackboneError, DependencyError

needs_torch = "PyTorch is not installed, so the conversion of its AlexNet file is NOT tested: pip install torch"


def an_alexnet(image_size=224):
    return build_backbone(choose_backbone(ModelConfig(backbone="AlexNet", weights="none", image_size=image_size)))


def torch_features(torch):
    """The `features` of torchvision's AlexNet, inside a module that names them so."""
    nn = torch.nn
    features = nn.Sequential(
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
    )
    return nn.ModuleDict({"features": features})


@pytest.mark.parametrize(("image_size", "side"), [(224, 6), (63, 1)])
def test_the_feature_map_has_torchvisions_size(image_size, side):
    assert an_alexnet(image_size).output.shape == (None, side, side, 256)


def test_parameters_and_blocks_are_those_of_the_spec():
    backbone, spec = an_alexnet(63), backbone_spec("AlexNet")
    assert backbone.count_params() == spec.parameters
    assert spec.blocks[-1].anchor == backbone.layers[-1].name


def test_weights_of_pytorch_give_pytorchs_features(tmp_path):
    torch = pytest.importorskip("torch", reason=needs_torch)
    network, backbone = torch_features(torch), an_alexnet(95)
    torch.save(network.state_dict(), tmp_path / "alexnet.pth")
    load_weights(backbone, str(tmp_path / "alexnet.pth"))
    images = np.random.default_rng(0).normal(size=(2, 95, 95, 3)).astype(np.float32)
    with torch.no_grad():
        expected = network["features"](torch.from_numpy(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(backbone(images), expected, atol=1e-5)


def test_a_pickle_that_would_run_code_is_refused_and_not_run(tmp_path):
    torch = pytest.importorskip("torch", reason=needs_torch)

    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    torch.save(Trap(), tmp_path / "trap.pth")
    with pytest.raises(BackboneError, match=r"Received: .*trap\.pth, which does not fit") as raised:
        load_weights(an_alexnet(63), str(tmp_path / "trap.pth"))
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "ran").exists()


def test_an_altered_published_file_is_refused_by_name(tmp_path):
    pytest.importorskip("torch", reason=needs_torch)
    (tmp_path / "alexnet-owt-7be5be79.pth").write_bytes(b"altered")
    with pytest.raises(BackboneError, match=r"begins with 7be5be79\. Received: .*alexnet-owt-7be5be79\.pth"):
        load_weights(an_alexnet(63), str(tmp_path / "alexnet-owt-7be5be79.pth"))


def test_without_pytorch_one_line_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "alexnet-owt-7be5be79.pth").write_bytes(b"")
    with pytest.raises(DependencyError, match="pip install torch"):
        load_weights(an_alexnet(63), str(tmp_path / "alexnet-owt-7be5be79.pth"))
