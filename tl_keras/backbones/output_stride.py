"""Ends a network at a finer map than its last one, where small things are still apart.

Detectors read such maps too (feature pyramids, Lin et al. 2017): at each stride the last map before the network halves it.
"""

from __future__ import annotations

import math

import keras

from tl_keras.backbones.blocks import segments
from tl_keras.errors import BackboneError


def end_at_stride(backbone: keras.Model, stride: int, *, name: str) -> keras.Model:
    """Returns a network up to its last map of some pixels per position, which shares the layers of the whole one.

    Args:
      backbone: Functional model of images, without its top.
      stride: Height and width of the part of the image that a position of the map stands for, in pixels.
      name: The network in an error.

    Raises:
      BackboneError: The network has no such map.
    """
    maps = maps_by_stride(backbone)
    if stride not in maps:
        known = f"expected one of {', '.join(map(str, sorted(maps)))}, the maps of {name}." if maps else ""
        raise BackboneError(
            f"output_stride: {known or f'{name} has no maps, or none through which all of the image passes.'} "
            f"Received: {stride}. {'Choose one of these, or leave it out.' if known else 'Leave it out.'}"
        )
    return keras.Model(backbone.input, maps[stride], name=backbone.name)


def maps_by_stride(backbone: keras.Model) -> dict[int, keras.KerasTensor]:
    """Returns the last map of each stride through which all of the image passes: what the network makes before it halves the map.

    Strides are powers of two; those of networks that pad nothing are rounded: 299 pixels become 35 positions at a stride of 8.
    """
    pixels, maps = backbone.input_shape[1], dict[int, keras.KerasTensor]()
    if len(backbone.output_shape) != 4:  # a transformer's patches are no map that it goes on from
        return maps
    for nodes in segments(backbone):
        shape = nodes[-1].output_tensors[0].shape
        is_map = len(shape) == 4 and min(shape[1] or 0, shape[2] or 0) > 1
        if is_map and not isinstance(nodes[-1].operation, (keras.layers.InputLayer, keras.layers.ZeroPadding2D)):
            maps[2 ** round(math.log2(pixels / shape[1]))] = nodes[-1].output_tensors[0]
    return {stride: tensor for stride, tensor in maps.items() if stride > 1}
