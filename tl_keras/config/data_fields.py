"""Defines the options of the images or texts, their splits and their augmentation."""

# The types of the fields are looked at when a program runs, so they are no texts: no `from __future__ import annotations`.
import dataclasses
from typing import Any

from tl_keras.config.choices import EXPECTED_SOURCE, Augmentation, OnOffAuto
from tl_keras.config.defaults import DEFAULT_MAX_PIXELS
from tl_keras.config.options import ABOVE_0_BELOW_1, ABOVE_0_TO_1, above, at_least, option
from tl_keras.config.parsing import parse_columns, parse_group_by, parse_splits
from tl_keras.locked import Locked

# As versions before `auto` wrote horizontal_flip, and as --config.data.horizontal_flip=False gives it.
_AS_TRUTH = {"true": "on", "yes": "on", "on": "on", "false": "off", "no": "off", "off": "off", "auto": "auto"}


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
        "Images that stay in one split: those of a folder (folder), with the same value in a column of that name, or whose names "
        "agree in what a regular expression finds.",
        flag="group_by",
        zero="groups only where a table has a column of them, such as patient",
        parse=parse_group_by,
    )
    validation_fraction: float = option(
        0.15,
        "The part of the images that is split off for validation, where none is declared.",
        within=ABOVE_0_BELOW_1,
    )
    test_fraction: float = option(
        0.15,
        "The part of the images that is split off for the test, where no split is declared at all.",
        zero="no test split",
        within=ABOVE_0_BELOW_1,
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
    min_crop_area: float = option(
        0.0,
        "The smallest part of an image's area that light and strong show; 1 shows the whole image.",
        zero="0.5 in light, 0.25 in strong; 1 for several labels, numbers and pooling=max, since a part may lack what counts",
        within=ABOVE_0_TO_1,
    )
    augmented_views: int = option(
        3,
        "Variations of each image that are shown in turn with the plain one, so that frozen layers see each once.",
        flag="augmented_views",
        within=at_least(1),
    )
    horizontal_flip: OnOffAuto = option(
        "auto", "Whether light and strong mirror half of the images; auto finds out from the training images."
    )
    quarter_turns: OnOffAuto = option(
        "auto",
        "Whether light and strong turn images by none to three quarters; auto does where no image has an upright of its own.",
    )
    mixup: float = option(0.0, "Alpha of MixUp's Beta distribution; 0.2 is customary.", zero="off", within=above(0))
    cutmix: float = option(0.0, "Alpha of CutMix's Beta distribution; 1.0 is customary.", zero="off", within=above(0))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("horizontal_flip", "quarter_turns") and isinstance(value, (bool, str)):
            value = _AS_TRUTH.get(str(value).lower(), value)
        super().__setattr__(name, value)
