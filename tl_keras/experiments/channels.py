"""Removes channels between two convolutions of a network, which no other layer sees."""

from __future__ import annotations

import dataclasses
from collections import Counter
from statistics import NormalDist

import keras
import numpy as np

from tl_keras.keras_internals import graph_nodes, takers

# Layers that treat each channel by itself.
_BY_CHANNEL = (
    *("BatchNormalization", "ReLU", "Activation", "DepthwiseConv2D", "ZeroPadding2D", "Dropout"),
    *("MaxPooling2D", "AveragePooling2D"),
)
# Numbers of channels are multiples of it, as kernels of processors and phones like them, and at least it.
_MULTIPLE = 8
# Values of a normal distribution at its quantiles, over which activations are averaged.
_NORMAL = np.array([NormalDist().inv_cdf((n + 0.5) / 64) for n in range(64)])


@dataclasses.dataclass(frozen=True)
class InnerChannels:
    """Channels that one convolution makes and one other reads.

    Attributes:
      made_by: Name of the convolution that makes them.
      between: Names of the layers between, each of which treats a channel by itself.
      read_by: Name of the convolution that reads them.
      count: Number of channels.
    """

    made_by: str
    between: tuple[str, ...]
    read_by: str
    count: int

    def kept(self, part: float) -> int:
        """Returns the number of channels that are left when a part of them, 0 to 1, is removed."""
        wanted = _MULTIPLE * round(self.count * (1 - part) / _MULTIPLE)
        return min(self.count, max(wanted, _MULTIPLE))


def inner_channels(network: keras.Model) -> tuple[InnerChannels, ...]:
    """Returns the channels that can be removed without touching a sum, a concatenation or the output.

    They are the expansions of inverted bottlenecks, the inner ones of bottlenecks, and those of chains such as VGG's.
    """
    nodes = graph_nodes(network)
    uses = Counter(id(node.operation) for node in nodes)
    readers, found = takers(network), []
    for node in nodes:
        if not _is_convolution(node.operation) or uses[id(node.operation)] > 1:
            continue
        between: list[str] = []
        tensor = node.output_tensors[0]
        while len(following := readers[id(tensor)]) == 1 and following[0] is not None:
            layer = following[0].operation
            if uses[id(layer)] > 1:
                break
            if _is_convolution(layer):
                found.append(InnerChannels(node.operation.name, tuple(between), layer.name, node.operation.filters))
                break
            if not _is_by_channel(layer):
                break
            between.append(layer.name)
            tensor = following[0].output_tensors[0]
    return tuple(found)


def without_channels(network: keras.Model, part: float) -> keras.Model:
    """Returns a network without a part of each of its inner channels: those that add least to the convolution that reads them.

    What a channel adds is taken for the product of the root mean square of its activation, of which BatchNorm tells mean and
    deviation, with the norm of the weights that read it (as Li et al. 2017, "Pruning filters for efficient ConvNets", and Liu et
    al. 2017, "Learning efficient convolutional networks through network slimming", judge by one of them).

    Args:
      network: Functional model; it is not changed.
      part: Part of the channels to remove, above 0 and below 1.
    """
    made: dict[str, np.ndarray] = {}
    read: dict[str, np.ndarray] = {}
    by_channel: dict[str, np.ndarray] = {}
    for channels in inner_channels(network):
        kept = np.sort(np.argsort(-_importance(network, channels), kind="stable")[: channels.kept(part)])
        made[channels.made_by] = read[channels.read_by] = kept
        by_channel |= dict.fromkeys(channels.between, kept)

    def smaller(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if layer.name in made:
            config["filters"] = len(made[layer.name])
        return type(layer).from_config(config)

    pruned = keras.models.clone_model(network, clone_function=smaller)
    for layer in network.layers:
        weights = []
        for weight in layer.get_weights():
            if layer.name in by_channel:
                axis = 2 if weight.ndim == 4 else 0
                weight = weight.take(by_channel[layer.name], axis=axis)
            if layer.name in read and weight.ndim == 4:
                weight = weight.take(read[layer.name], axis=2)
            if layer.name in made:
                weight = weight.take(made[layer.name], axis=-1)
            weights.append(weight)
        if weights:
            pruned.get_layer(layer.name).set_weights(weights)
    return pruned


def _importance(network: keras.Model, channels: InnerChannels) -> np.ndarray:
    """Returns what each channel adds to the convolution that reads it, float (count,)."""
    reads = np.sqrt((network.get_layer(channels.read_by).get_weights()[0] ** 2).sum(axis=(0, 1, 3)))
    between = [network.get_layer(name) for name in channels.between]
    norms = [at for at, layer in enumerate(between) if isinstance(layer, keras.layers.BatchNormalization)]
    if not norms:
        kernel = network.get_layer(channels.made_by).get_weights()[0]
        return reads * np.sqrt((kernel**2).sum(axis=(0, 1, 2)))
    norm, after = between[norms[-1]], between[norms[-1] + 1 :]
    gamma = np.ones(channels.count) if norm.gamma is None else keras.ops.convert_to_numpy(norm.gamma)
    beta = np.zeros(channels.count) if norm.beta is None else keras.ops.convert_to_numpy(norm.beta)
    values = (gamma * _NORMAL[:, None] + beta).astype(np.float32)
    for layer in after:
        if isinstance(layer, keras.layers.ReLU | keras.layers.Activation):
            values = keras.ops.convert_to_numpy(layer(values))
    return reads * np.sqrt((values**2).mean(axis=0))


def _is_convolution(layer: keras.layers.Layer) -> bool:
    return type(layer) is keras.layers.Conv2D and layer.groups == 1 and layer.data_format == "channels_last"


def _is_by_channel(layer: keras.layers.Layer) -> bool:
    if type(layer).__name__ not in _BY_CHANNEL:
        return False
    axis = getattr(layer, "axis", -1)
    softmax = getattr(layer, "activation", None) is keras.activations.softmax
    return axis in (-1, 3) and not softmax and getattr(layer, "depth_multiplier", 1) == 1
