"""Defines the options of the teacher, the layers of it that are trained, and the head."""

# The types of the fields are looked at when a program runs, so they are no texts: no `from __future__ import annotations`.
import dataclasses

from tl_keras.config.choices import Background, BatchNormPolicy, Head, Method, Pooling, ResizeRule
from tl_keras.config.defaults import CAUTIOUS_CUT, DEFAULT_CUT, DEFAULT_RESIZE, DEFAULT_SIGNIFICANT_BITS
from tl_keras.config.options import ABOVE_0_BELOW_1, Interval, above, at_least, option
from tl_keras.config.parsing import parse_layers
from tl_keras.locked import Locked
from tl_keras.unfreeze import LANGUAGE, parse_unfreeze

# Names of the options that decide the features of an image, and of the map where the teacher ends; the cut and the head do not.
OF_THE_MAP = ("output_stride", "pooling")
OF_THE_FEATURES = (
    "backbone",
    "weights",
    "alpha",
    "image_size",
    "resize",
    "background",
    "significant_bits",
    *OF_THE_MAP,
)


@dataclasses.dataclass
class ModelConfig(Locked):
    """The teacher, the layers of it that are trained, and the head.

    Example:
      ```python
      import tl_keras

      model = tl_keras.ModelConfig(backbone="ResNet50", method="fine_tune", unfreeze="blocks:2")
      ```
    """

    backbone: str = option(
        "MobileNetV2",
        "The pre-trained backbone (the teacher): a name that python -m tl_keras.backbones lists, a .keras file, or "
        "hf://USER/NAME, a repository with one; auto, in train alone, measures the teachers at hand on the images.",
        flag="backbone",
    )
    weights: str = option(
        "imagenet",
        "The teacher's weights: imagenet, embedded, none, or a .weights.h5, .h5 or .keras file; for AlexNet also PyTorch's .pth.",
        flag="weights",
    )
    alpha: float = option(
        0.0, "Width multiplier of MobileNet and MobileNetV2.", flag="alpha", zero="that of the weights", within=above(0)
    )
    image_size: int = option(
        0, "Height and width in pixels.", flag="image_size", zero="that of the weights", within=at_least(1)
    )
    max_tokens: int = option(
        0,
        "Tokens of a text, for teachers of texts; longer texts are cut.",
        zero="what the training texts need, at most what the teacher takes",
        within=at_least(8),
    )
    resize: ResizeRule = option(
        "",
        "How images become square: squash and pad show all of them, original is the teacher's own central crop; auto, in train "
        "alone, measures which.",
        flag="resize",
        zero=f"{DEFAULT_RESIZE}; with method auto, auto",
    )
    background: Background = option("white", "The colour that transparent pixels are laid over.")
    significant_bits: int = option(
        0,
        "Significant bits of 16-bit PNG files: 12 for many scanners.",
        flag="significant_bits",
        zero=f"{DEFAULT_SIGNIFICANT_BITS}, refused where all files use fewer",
        within=Interval(8, 16),
    )
    method: Method = option(
        "fine_tune",
        "replicate trains the same network from random weights, feature_extraction only a new head, fine_tune also "
        "layers of the teacher; auto, in train alone, looks at the images and decides.",
        flag="method",
    )
    unfreeze: str = option(
        "",
        f"The layers of the teacher that are trained: {LANGUAGE}.",
        flag="unfreeze",
        zero=f"{DEFAULT_CUT} in fine_tune, {CAUTIOUS_CUT} for texts and numbers; the other methods have no choice",
        parse=parse_unfreeze,
    )
    unfreeze_schedule: str = option(
        "",
        "fine_tune in stages: blocks:1@0,blocks:2@4 trains the last block, from epoch 4 on the last two.",
        zero="one stage",
    )
    lora_rank: int = option(
        0,
        "Rank of the matrices through which fine_tune trains the dense layers of a transformer, which add to them at the end; 8 is "
        "customary.",
        zero="the layers' own weights are trained",
        within=at_least(1),
    )
    batch_norm: BatchNormPolicy = option(
        "freeze",
        "BatchNorm of the layers that fine_tune trains: freeze keeps its statistics, train updates them, recalibrate "
        "measures them again on the new images, before these layers train.",
        flag="batch_norm",
    )
    output_stride: int = option(
        0,
        "Pixels per position of the map where the teacher ends: at 8 or 16 it keeps small things apart, and is smaller and faster.",
        zero="that of its last map, 32 in most",
        within=at_least(2),
    )
    pooling: Pooling = option(
        "",
        "How the positions of the map become one row of features: their average, or max, the largest value of each feature, for "
        "small things in large images.",
        zero="average; for several labels and numbers measured on the training images, with output_stride, unless one of them "
        "is chosen",
    )
    head: Head = option(
        "linear", "The layers on top of the teacher: linear, or mlp with one hidden layer.", flag="head"
    )
    head_layers: str = option(
        "",
        "Layers of Keras between the pooled features and the logits, in place of head and dropout: a JSON list.",
        zero="those of head",
        parse=parse_layers,
    )
    start_from: str = option(
        "",
        "The model.keras of an earlier run with the same backbone and head, with whose weights the run begins; logits of classes "
        "that it lacks are new.",
        zero="the teacher's weights and a new head",
    )
    head_units: int = option(256, "Width of the hidden layer of the mlp head.", within=at_least(1))
    dropout: float = option(0.2, "Dropout before the logits.", zero="off", within=ABOVE_0_BELOW_1)
