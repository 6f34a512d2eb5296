"""Tests of tl_keras.backbones.specs and of the table in tl_keras.backbones.families.

The default suite builds the small networks; `slow` builds every one.
"""

import importlib
import inspect

import keras
import pytest

from tl_keras.backbones.specs import backbone_names, backbone_spec
from tl_keras.errors import BackboneError

# One of each family that is quick to build.
SMALL = ("AlexNet", "MobileNet", "MobileNetV2", "ResNet50", "VGG16", "ConvNeXtTiny")
EACH = [name if name in SMALL else pytest.param(name, marks=pytest.mark.slow) for name in backbone_names()]


def build(name, **options) -> keras.Model:
    spec = backbone_spec(name)
    constructor = getattr(importlib.import_module(spec.constructor_package), name)
    size = spec.min_image_size
    return constructor(**{"include_top": False, "weights": None, "input_shape": (size, size, 3), **options})


def edge_positions(spec, backbone) -> list[int]:
    positions = {layer.name: position for position, layer in enumerate(backbone.layers)}
    return [positions[block.anchor] + block.offset for block in spec.blocks]


@pytest.fixture(scope="module", params=EACH)
def spec_and_network(request):
    """A spec, and its network as the second build of a process has it, in which unstable names are other ones."""
    build(request.param)
    return backbone_spec(request.param), build(request.param)


def test_every_constructor_of_keras_has_a_row():
    constructors = {
        name
        for name, member in vars(keras.applications).items()
        if inspect.isfunction(member) and "include_top" in inspect.signature(member).parameters
    }
    assert len(constructors) >= 38
    assert constructors <= set(backbone_names())


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(BackboneError, match=r"Received: mobilenetv2\. Did you mean MobileNetV2"):
        backbone_spec("mobilenetv2")


def test_sizes_agree_with_the_network(spec_and_network):
    spec, backbone = spec_and_network
    assert backbone.output.shape[-1] == spec.feature_dim
    # EfficientNet's third normalisation layer, in ImageNet's networks only, has no weights.
    assert backbone.count_params() == spec.parameters


def test_whether_one_layer_on_the_pooled_features_classifies_is_known(spec_and_network):
    spec, _ = spec_and_network
    size = spec.default_weights.preprocess.image_size
    layers = build(spec.name, include_top=True, input_shape=(size, size, 3)).layers
    pooling = [isinstance(layer, keras.layers.GlobalAveragePooling2D) for layer in layers]
    behind = [layer for layer in layers[-1 - pooling[::-1].index(True) :] if layer.weights] if any(pooling) else []
    assert spec.classifies_pooled == (len(behind) == 1)


def test_the_blocks_are_in_order_and_cover_every_layer(spec_and_network):
    spec, backbone = spec_and_network
    edges = edge_positions(spec, backbone)
    assert edges == sorted(set(edges))
    assert edges[0] > 0
    assert edges[-1] == len(backbone.layers) - 1
    assert len({block.name for block in spec.blocks}) == len(spec.blocks)


def test_only_one_tensor_leaves_a_block(spec_and_network):
    spec, backbone = spec_and_network
    consumed = _layers_consumed(backbone)
    for edge, block in zip(edge_positions(spec, backbone), spec.blocks, strict=True):
        crossing = {
            source
            for position in range(edge + 1, len(backbone.layers))
            for source in consumed[position]
            if source <= edge
        }
        # The addition that ends a ConvNeXt block is no layer: two layers feed the one tensor that crosses.
        assert crossing <= {edge} or not spec.single_tensor_edges or spec.module == "convnext", (
            f"{block.name}: {crossing}"
        )


def test_below_the_smallest_size_keras_refuses(spec_and_network):
    spec, _ = spec_and_network
    size = spec.min_image_size - 1
    with pytest.raises(ValueError, match=r"at least|negative"):
        build(spec.name, input_shape=(size, size, 3))


def _layers_consumed(backbone) -> list[set[int]]:
    """Returns for each layer the positions of the layers whose output it uses, seen through operations that are no layers."""
    positions = {id(layer): position for position, layer in enumerate(backbone.layers)}

    def sources(tensor) -> set[int]:
        operation = tensor._keras_history.operation
        if id(operation) in positions:
            return {positions[id(operation)]}
        inputs = keras.tree.flatten(operation._inbound_nodes[0].input_tensors)
        return set().union(*(sources(source) for source in inputs))

    return [
        set().union(*(sources(tensor) for tensor in keras.tree.flatten(layer.input)))
        if not isinstance(layer, keras.layers.InputLayer)
        else set()
        for layer in backbone.layers
    ]
