"""Finds the blocks of a network outside the table from its graph, as coarse as the table's blocks.

The graph is split wherever a single tensor passes; the layers between two such places form a part. Parts are then joined in
the way papers draw blocks: a bottleneck of pointwise and depthwise convolutions, a dense block, one stage of VGG.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from tl_keras.backbones.specs import BlockSpec
from tl_keras.keras_internals import graph_nodes

if TYPE_CHECKING:
    import keras

# A network with fewer parts than this is split where two tensors pass, as between the cells of NASNet.
_FEWEST_PARTS = 3


@dataclasses.dataclass(frozen=True)
class _Part:
    """A part holds the layers between two tensors that every path goes through.

    Attributes:
      role: Kind of the part. `glue` has no kernel; `gate` multiplies its input by factors of it (squeeze-and-excitation);
        `dense` appends to its input (DenseNet); `pointwise`, `depthwise` and `spatial` are one convolution; `unit` is
        anything else, such as a residual block.
      layers: Number of layers.
      stride: Factor by which the part shrinks the image.
      channels: Number of output channels.
    """

    role: str
    layers: int
    stride: int
    channels: int


def blocks_of(backbone: keras.Model) -> tuple[BlockSpec, ...]:
    """Finds the blocks of a network from its graph.

    Residual and inception blocks stay whole. Layers without a kernel (BatchNorm, activation, pooling) belong to the block
    before them. A block is named after its last layer.

    Args:
      backbone: Functional model without its top.

    Returns:
      Blocks from input to output, which together contain every layer.
    """
    blocks: list[BlockSpec] = []
    current: list[_Part] = []  # the parts with kernels of the block that is being collected
    layers_seen, stride_since = 0, 1
    for part in _parts(backbone):
        stride_since *= part.stride
        if part.role != "glue":
            if current and not _continues(current, part, stride_since):
                name = backbone.layers[layers_seen - 1].name
                blocks.append(BlockSpec(name, name))
                current = []
            current.append(part)
            stride_since = 1
        layers_seen += part.layers
    last = backbone.layers[-1].name
    return (*blocks, BlockSpec(last, last))


def segments(model: keras.Model, *, crossing: int = 1) -> list[list[Any]]:
    """Returns the graph nodes of a functional model from input to output, split where few tensors pass.

    Args:
      model: Functional model.
      crossing: Number of tensors that may pass; more than one counts only where each is a concatenation, the end of a cell.
    """
    nodes = graph_nodes(model)
    last_use = {id(tensor): position for position, node in enumerate(nodes) for tensor in node.input_tensors}
    last_use |= {id(tensor): len(nodes) for tensor in model.outputs}
    made_by = {id(tensor): node for node in nodes for tensor in node.output_tensors}
    found: list[list[Any]] = [[]]
    alive: set[int] = set()
    for position, node in enumerate(nodes):
        found[-1].append(node)
        alive |= {id(tensor) for tensor in node.output_tensors}
        alive = {tensor for tensor in alive if last_use.get(tensor, -1) > position}
        ends_cells = all(_kind(made_by[tensor]) == "Concatenate" for tensor in alive)
        if (len(alive) == 1 or (len(alive) <= crossing and ends_cells)) and position + 1 < len(nodes):
            found.append([])
    return found


def _parts(backbone: keras.Model) -> list[_Part]:
    found = segments(backbone)
    parts = [_part(nodes) for nodes in found]
    if sum(part.role != "glue" for part in parts) < _FEWEST_PARTS:
        parts = [_part(nodes) for nodes in segments(backbone, crossing=2)]
    return parts


def _part(nodes: list[Any]) -> _Part:
    import keras

    layers = [node.operation for node in nodes if isinstance(node.operation, keras.layers.Layer)]
    output = nodes[-1].output_tensors[0]
    stride = max((_stride(layer) for layer in layers), default=1)
    return _Part(_role(nodes, layers), len(layers), stride, output.shape[-1])


def _role(nodes: list[Any], layers: list[keras.layers.Layer]) -> str:
    import keras

    if not any(layer.weights and not _normalizes(layer) for layer in layers):
        return "glue"
    if len(nodes) > 1:
        made_here = {id(tensor) for node in nodes for tensor in node.output_tensors}
        appends = any(id(tensor) not in made_here for tensor in nodes[-1].input_tensors)
        if _kind(nodes[-1]) == "Multiply":
            return "gate"
        return "dense" if _kind(nodes[-1]) == "Concatenate" and appends else "unit"
    (layer,) = layers
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return "depthwise"
    if isinstance(layer, keras.layers.SeparableConv2D):
        return "spatial"
    if isinstance(layer, keras.layers.Conv2D):
        return "pointwise" if math.prod(layer.kernel_size) == 1 else "spatial"
    return "unit"


def _continues(block: list[_Part], part: _Part, stride: int) -> bool:
    """Returns whether a part with a kernel belongs to the block before it; `stride` is the shrinking between the two."""
    roles = [earlier.role for earlier in block if earlier.role != "gate"]
    before = roles[-1] if roles else ""
    return {
        "gate": True,
        "dense": before == "dense",
        "depthwise": roles == ["pointwise"],  # the expansion of an inverted bottleneck
        "pointwise": before == "depthwise" or (before == "spatial" and part.channels <= block[-1].channels),
        "spatial": set(roles) == {"spatial"} and block[-1].channels == part.channels and stride == 1,
    }.get(part.role, False)


def _kind(node: Any) -> str:
    """Returns the name of a node's operation; a layer shares it with the bare operation that does the same."""
    return type(node.operation).__name__


def _stride(layer: keras.layers.Layer) -> int:
    strides = getattr(layer, "strides", 1)
    return max(strides) if isinstance(strides, tuple | list) else int(strides or 1)


def _normalizes(layer: keras.layers.Layer) -> bool:
    import keras

    return isinstance(
        layer,
        (
            keras.layers.BatchNormalization,
            keras.layers.GroupNormalization,
            keras.layers.LayerNormalization,
            keras.layers.Normalization,
        ),
    )
