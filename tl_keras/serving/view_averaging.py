"""Averages the answers of a trained model over several views of an image, which is called test-time augmentation.

The views are made of the network's input, after the teacher's preprocessing, and what is averaged are pooled features and logits.
All of it is part of the network, so that a predictor and every export format answer alike.
"""

from __future__ import annotations

from typing import Any

import keras

# Side of a crop as a part of the image's: 224 of 256 pixels, as Krizhevsky, Sutskever and Hinton 2012, "ImageNet classification
# with deep convolutional neural networks", cut out of theirs.
_CROP = 0.875

VIEWS_IN_WORDS = {"mirror": "the image and its mirror image", "crops": "the middle and the four corners"}


def averaged_over_views(model: keras.Model, views: str) -> keras.Model:
    """Returns a model whose outputs are the means of another's over views of each image.

    Args:
      model: Model from images, (n, size, size, 3), to several outputs.
      views: `mirror` for the image and its mirror image; `crops` for the middle and the four corners, each 7/8 of the side;
        `none` for the model itself.
    """
    if views == "none":
        return model
    images = keras.Input(model.input.shape[1:], dtype=model.input.dtype, name=model.input.name)
    outputs = [model(view) for view in _views(images, views)]
    return keras.Model(images, [keras.layers.Average(dtype="float32")(each) for each in zip(*outputs, strict=True)])


def _views(images: Any, views: str) -> list[Any]:
    """Returns the views of a batch, each (n, size, size, 3)."""
    if views == "mirror":
        return [images, keras.ops.flip(images, axis=2)]
    size = images.shape[1]
    side = round(_CROP * size)
    ends, middle = (0, size - side), (size - side) // 2
    corners = [(top, left) for top in ends for left in ends]
    return [
        keras.ops.image.resize(images[:, top : top + side, left : left + side], (size, size), interpolation="bilinear")
        for top, left in [(middle, middle), *corners]
    ]
