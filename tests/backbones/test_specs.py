"""Tests of tl_keras.backbones.specs."""

import keras
import pytest

from tl_keras.backbones.specs import backbone_names, backbone_spec
from tl_keras.errors import BackboneError


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(BackboneError, match=r"Received: mobilenetv2\. Did you mean MobileNetV2"):
        backbone_spec("mobilenetv2")


@pytest.mark.parametrize("name", backbone_names())
def test_a_spec_agrees_with_the_built_network(name):
    spec = backbone_spec(name)
    size = spec.min_image_size
    backbone = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(size, size, 3))
    assert backbone.output.shape[-1] == spec.feature_dim
    assert backbone.layers[-1].name == spec.blocks[-1].last_layer
    positions = [[layer.name for layer in backbone.layers].index(block.last_layer) for block in spec.blocks]
    assert positions == sorted(set(positions))


@pytest.mark.parametrize("name", backbone_names())
def test_below_the_smallest_size_keras_refuses(name):
    size = backbone_spec(name).min_image_size - 1
    with pytest.raises(ValueError, match="at least"):
        getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(size, size, 3))


@pytest.mark.parametrize("name", backbone_names())
def test_every_block_edge_is_the_only_way_through(name):
    spec = backbone_spec(name)
    size = spec.min_image_size
    backbone = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(size, size, 3))
    positions = {layer.name: position for position, layer in enumerate(backbone.layers)}
    for block in spec.blocks:
        edge = positions[block.last_layer]
        for layer in backbone.layers[edge + 1 :]:
            sources = [tensor._keras_history.operation.name for tensor in keras.tree.flatten(layer.input)]
            assert all(positions[source] >= edge for source in sources), f"{layer.name} bypasses {block.name}"
