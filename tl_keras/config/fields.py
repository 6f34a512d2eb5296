"""Defines `TransferConfig` and its parts, each option with its description.

An option whose description has a `zero` may be left open. `resolve` and the run fill it in, so that `config.json` in the run
directory holds every value that was used.
"""

# The types of the fields are looked at when a program runs, so they are no texts: no `from __future__ import annotations`.
import dataclasses
from typing import Any

from tl_keras.config.cache_fields import CacheConfig
from tl_keras.config.choices import (
    EXPECTED_SOURCE,
    EXPORTS,
    Augmentation,
    Background,
    BatchNormPolicy,
    ClassWeights,
    Head,
    HorizontalFlip,
    Method,
    Precision,
    ResizeRule,
    Strategy,
    require_task_name,
)
from tl_keras.config.decision_fields import DecisionConfig
from tl_keras.config.defaults import (
    CAUTIOUS_CUT,
    CAUTIOUS_FINE_TUNE_FACTOR,
    DEFAULT_CUT,
    DEFAULT_FINE_TUNE_FACTOR,
    DEFAULT_LEARNING_RATES,
    DEFAULT_MAX_PIXELS,
    DEFAULT_RESIZE,
    DEFAULT_SIGNIFICANT_BITS,
    FEWEST_STEPS,
    NUMBERS_FINE_TUNE_FACTOR,
    NUMBERS_LEARNING_RATE,
)
from tl_keras.config.options import Interval, above, at_least, option
from tl_keras.config.parsing import (
    export_formats,
    parse_columns,
    parse_group_by,
    parse_layers,
    parse_optimizer,
    parse_splits,
)
from tl_keras.locked import Locked
from tl_keras.unfreeze import LANGUAGE, parse_unfreeze

# As versions before `auto` wrote it, and as --config.data.horizontal_flip=False gives it.
_FORMER_FLIPS = {True: "on", False: "off", "True": "on", "False": "off", "true": "on", "false": "off"}

_ABOVE_0_BELOW_1 = Interval(0, 1, open_low=True, open_high=True)
_ABOVE_0_TO_1 = Interval(0, 1, open_low=True)


@dataclasses.dataclass
class DataConfig(Locked):
    """Images, their splits and their augmentation.

    Example:
      ```python
      import tl_keras

      data = tl_keras.DataConfig(source="photos/", augmentation="light")
      assert data.validation_fraction == 0.15  # a default
      ```
    """

    source: str = option(
        "", f"The labelled images: {EXPECTED_SOURCE}.", flag="data", zero="none; train then runs the quick start"
    )
    data_dir: str = option(
        "", "The folder of prepared TFDS datasets.", flag="data_dir", zero="TensorFlow Datasets' own folder"
    )
    max_pixels: int = option(
        DEFAULT_MAX_PIXELS,
        "Pixels of the largest image; larger ones are left out.",
        flag="max_pixels",
        within=at_least(1),
    )
    splits: str = option(
        "",
        "The splits that other names mean, such as fold_1=train,fold_2=test,old=unused; none: no folder is a split.",
        flag="splits",
        zero="folders such as train/, val/ and test/ are splits",
        parse=parse_splits,
    )
    columns: str = option(
        "",
        "The columns of a table, such as image=id,label=breed,split=fold; group=none: a column of that name is not used.",
        flag="columns",
        zero="found by their names",
        parse=parse_columns,
    )
    class_order: str = option(
        "",
        "The classes of --task=ordinal from the lowest to the highest, such as none,mild,severe.",
        flag="class_order",
        zero="by value, if all are numbers",
    )
    images_in: str = option(
        "", "The folder of the images that a table names.", flag="images_in", zero="the table's own folder"
    )
    group_by: str = option(
        "",
        "Images that stay in one split: those of a folder (folder), or whose names agree in what a regular expression finds.",
        flag="group_by",
        zero="groups only where a table has a column of them, such as patient",
        parse=parse_group_by,
    )
    validation_fraction: float = option(
        0.15,
        "The part of the images that is split off for validation, where none is declared.",
        within=_ABOVE_0_BELOW_1,
    )
    test_fraction: float = option(
        0.15,
        "The part of the images that is split off for the test, where no split is declared at all.",
        zero="no test split",
        within=_ABOVE_0_BELOW_1,
    )
    train_examples_per_class: int = option(
        0, "Labelled training images per class, at most.", zero="all", within=at_least(1)
    )
    augmentation: Augmentation = option(
        "",
        "How training images are varied: light is a random crop, brightness and contrast; strong also RandAugment; own is the "
        "function of a program.",
        flag="augmentation",
        zero="light in fine_tune, else none",
    )
    augmented_views: int = option(
        3,
        "Variations of each image that are shown in turn with the plain one, so that frozen layers see each once; "
        "replicate draws a new one every time.",
        flag="augmented_views",
        within=at_least(1),
    )
    horizontal_flip: HorizontalFlip = option(
        "auto", "Whether light and strong mirror half of the images; auto finds out from the training images."
    )
    mixup: float = option(0.0, "Alpha of MixUp's Beta distribution; 0.2 is customary.", zero="off", within=above(0))
    cutmix: float = option(0.0, "Alpha of CutMix's Beta distribution; 1.0 is customary.", zero="off", within=above(0))

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "horizontal_flip" and isinstance(value, (bool, str)):
            value = _FORMER_FLIPS.get(value, value)
        super().__setattr__(name, value)


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
        "The pre-trained backbone (the teacher): a name that python -m tl_keras.backbones lists, or a .keras file.",
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
    batch_norm: BatchNormPolicy = option(
        "freeze",
        "BatchNorm of the layers that fine_tune trains: freeze keeps its statistics, train updates them, recalibrate "
        "measures them again at the end.",
        flag="batch_norm",
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
    dropout: float = option(0.2, "Dropout before the logits.", zero="off", within=_ABOVE_0_BELOW_1)


@dataclasses.dataclass
class TrainingConfig(Locked):
    """Training of the student.

    Example:
      ```python
      import tl_keras

      training = tl_keras.TrainingConfig(epochs=10, learning_rate=3e-3)
      ```
    """

    epochs: int = option(
        0,
        "Passes over the training images in the last phase; fine_tune's head_epochs come before them.",
        flag="epochs",
        zero="by the number of images",
        within=at_least(1),
    )
    head_epochs: int = option(
        0,
        "Passes over the training images in fine_tune's first phase, the head alone; they come on top of epochs.",
        flag="head_epochs",
        zero=f"as many as make {FEWEST_STEPS['head']} steps, at least 10",
        within=at_least(1),
    )
    global_batch_size: int = option(32, "Images per step, over all replicas.", flag="batch_size", within=at_least(1))
    # It comes before `learning_rate`, which may set it.
    find_learning_rate: bool = option(
        False, "Whether the peak rate is measured before the first phase, by a range test; learning_rate=auto sets it."
    )
    learning_rate: float = option(
        0.0,
        "Peak rate of the random weights (the head; the network in replicate), or auto: measured before the first phase.",
        flag="learning_rate",
        zero=", ".join(f"{rate:g} in {method}" for method, rate in DEFAULT_LEARNING_RATES.items())
        + f"; {NUMBERS_LEARNING_RATE:g} for heads that learn numbers",
        within=Interval(0, 10, open_low=True, open_high=True),
    )
    optimizer: str = option(
        "",
        "An optimizer of Keras as JSON, at its own rate; without warm-up, decays and average of the options.",
        zero="AdamW by the options",
        parse=parse_optimizer,
    )
    fine_tune_learning_rate_factor: float = option(
        0.0,
        "The rate of fine_tune's second phase, as a part of the peak rate.",
        zero=f"{DEFAULT_FINE_TUNE_FACTOR:g}; {CAUTIOUS_FINE_TUNE_FACTOR:g} for texts, {NUMBERS_FINE_TUNE_FACTOR:g} for numbers",
        within=Interval(0, 0.1, open_low=True),
    )
    layer_decay: float = option(1.0, "Factor on the rate for each block further from the head.", within=_ABOVE_0_TO_1)
    warmup_fraction: float = option(
        0.1,
        "The part of a phase's steps in which the rate rises from 0 to its peak; then it falls to 0 as a cosine.",
        zero="no warm-up",
        within=_ABOVE_0_BELOW_1,
    )
    weight_decay: float = option(
        1e-4,
        "AdamW's decoupled weight decay; not of biases and normalisation.",
        zero="off",
        within=_ABOVE_0_BELOW_1,
    )
    teacher_decay: float = option(
        0.0,
        "Decay of pre-trained weights towards the teacher's values (L2-SP).",
        zero="off",
        within=_ABOVE_0_BELOW_1,
    )
    ema_momentum: float = option(
        0.0,
        "Momentum of a moving average of the weights, which is evaluated and kept; 0.99 is customary.",
        zero="off",
        within=_ABOVE_0_BELOW_1,
    )
    label_smoothing: float = option(0.0, "Label smoothing.", zero="off", within=_ABOVE_0_BELOW_1)
    class_weights: ClassWeights = option(
        "none",
        "Weights of the classes in the loss: balanced is inverse frequency, with mean 1 over the training images.",
    )
    early_stopping_patience: int = option(
        0,
        "Epochs without a better validation score after which a phase ends.",
        zero="never, the cosine is seen out",
        within=at_least(1),
    )

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "learning_rate" and isinstance(value, str) and value == "auto":
            self.find_learning_rate, value = True, 0.0
        super().__setattr__(name, value)


@dataclasses.dataclass
class TransferConfig(Locked):
    """Everything that decides a run, apart from where it is written.

    Example:
      ```python
      import tl_keras

      config = tl_keras.TransferConfig(export="none", seed=1)
      config.data.source = "photos/"
      try:
          config.training.epoch = 10
      except tl_keras.TransferError as error:
          print(error)  # TrainingConfig: expected one of its fields. Received: epoch. Did you mean epochs?
      ```
    """

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    cache: CacheConfig = dataclasses.field(default_factory=CacheConfig)
    decision: DecisionConfig = dataclasses.field(default_factory=DecisionConfig)
    task: str = option(
        "auto",
        "What is learnt: auto stops where labels look like several or numbers; single_label takes them as they are.",
        flag="task",
        parse=require_task_name,
    )
    strategy: Strategy = option(
        "auto",
        "The hardware: mirrored is several GPUs, multi_worker the machines of TF_CONFIG, jax any, on JAX.",
        flag="strategy",
    )
    replicas: int = option(
        0,
        "Devices that train together, with mirrored and jax, over all processes; without a GPU or TPU, parts of the CPU.",
        flag="replicas",
        zero="every device",
        within=Interval(1, 4096),
    )
    precision: Precision = option(
        "auto", "Precision of the backbone while it trains; auto is bfloat16 on a TPU, else float32.", flag="precision"
    )
    seed: int = option(
        0,
        "The seed of splits, initial weights, order and augmentation.",
        flag="seed",
        within=Interval(0, 2**31 - 1),
    )
    price_per_hour: float = option(
        0.0,
        "Price of the machine, in any currency, for time_to_accuracy in result.json.",
        zero="unknown",
        within=above(0),
    )
    export: str = option(
        "saved_model",
        f"Formats of the exported model, comma-separated: {', '.join(EXPORTS)}; or none.",
        flag="export",
        parse=export_formats,
    )
