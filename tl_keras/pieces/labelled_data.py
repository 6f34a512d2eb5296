"""Opens labelled images for a program: `load_data`."""

from __future__ import annotations

import functools
import html
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tl_keras.config import TransferConfig
from tl_keras.data.arrays import ArraySource
from tl_keras.data.decoding import decode_image
from tl_keras.data.sources import Source, SourceOptions, open_source
from tl_keras.data.splits import SPLITS, Splits
from tl_keras.errors import ConfigError, DataError
from tl_keras.pieces.options import set_options
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import RunImages, read_images

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TABLES = ("csv:", "parquet:", "hf:")


def load_data(
    images: Any,
    labels: Any = None,
    *,
    validation: float = TransferConfig().data.validation_fraction,
    test: float = TransferConfig().data.test_fraction,
    group: str = "",
    seed: int = 0,
    **options: Any,
) -> LabelledData:
    """Opens labelled images, from wherever they are; reads none of them yet.

    Example:
      ```python
      import tl_keras as tl

      data = tl.load_data("photos/", test=0.2)
      print(len(data), data.class_names, data.issues())
      figure = data.show(4)
      assert len(data.splits.test) == 8
      ```

    Args:
      images: Name of a source, as in `--data`, such as a directory of class folders, `csv:FILE` or `hf:FOLDER`; a DataFrame; a
        dataset of `datasets` or `tf.data`; a `tl_keras.RandomAccessSource`; or an array, uint8 (n, height, width, channels).
      labels: Labels of an array of images, (n,): class names, or integers from 0. None for everything else.
      validation: Part that is held out for validation, where no validation split is declared; above 0 and below 1.
      test: Part that is held out for the test, where no split is declared; 0 to below 1.
      group: Images that stay in one split: those with the same value in this column of a table, those of a `folder`, or those whose
        names agree in what this regular expression finds.
      seed: Seed by which images are dealt to splits; also that of runs on them, unless they are given another.
      **options: Other options of images, by the names that docs/options.md lists, such as `columns`, `splits` or `task`.

    Raises:
      ConfigError: An option is unknown, or has another type or range.
      DataError: There are no such images.
    """
    config = TransferConfig(seed=seed)
    config.data.validation_fraction, config.data.test_fraction = validation, test
    config.data.group_by = "" if _is_table(images) else group
    set_options(config, options, parts=("data",), others=("task",), function="load_data")
    if labels is not None:
        images = ArraySource(np.asarray(images), labels)
    if group and _is_table(images):
        config.data.columns = ",".join([*filter(None, [config.data.columns]), f"group={group}"])
    if isinstance(images, (str, os.PathLike)):
        config.data.source = os.fspath(images)
        return LabelledData(config, None)
    source = open_source(images, SourceOptions.of(config))
    config.data.source = source.name
    return LabelledData(config, source)


class LabelledData:
    """Labelled images and their splits, as `load_data` returns them.

    Example:
      ```python
      import numpy as np
      import tl_keras as tl

      pixels = np.random.default_rng(0).integers(0, 256, (40, 24, 24, 3), dtype=np.uint8)
      data = tl.load_data(pixels, ["cat", "dog"] * 20)
      print(data.counts()["cat"])  # {'train': ..., 'validation': ..., 'test': ...}
      ```

    Args:
      config: Options of the images, their task and their seed.
      source: The images, or None for those that `config.data.source` names.

    Attributes:
      config: The same options.
      source: Images that are in memory, or None.
      models: Cache of what runs on these images have made, for the next run.
    """

    def __init__(self, config: TransferConfig, source: Source | None):
        self.config = config
        self.source = source
        self.models = ModelCache()

    @functools.cached_property
    def images(self) -> RunImages:
        """Returns the source, its inspection and its splits, after reading every image once.

        Raises:
          DataError: The images cannot be read or split.
        """
        return read_images(self.config, self.models, source=self.source)

    @property
    def splits(self) -> Splits:
        """Returns the splits: positions of images to train on, to validate and to test, each int64 (k,)."""
        return self.images.splits

    @property
    def class_names(self) -> tuple[str, ...]:
        """Returns the names of the classes, in the order of the labels."""
        return self.images.source.class_names

    @property
    def labels(self) -> np.ndarray:
        """Returns the label of each image, int64 (n,), or as `tl_keras.RandomAccessSource` describes those of other tasks."""
        return self.images.source.labels

    def __len__(self) -> int:
        return len(self.images.source)

    def issues(self) -> list[str]:
        """Returns sentences on what is wrong with the images; `python -m tl_keras.inspect` looks at their labels too."""
        images = self.images
        return [*images.source.notes, *images.inspection.findings, *images.splits.remarks()]

    def counts(self) -> dict[str, dict[str, int]]:
        """Returns the number of images of each class, or with each label, in each split."""
        return self.splits.counts(self.images.source)

    def show(self, images: int = 16) -> Figure:
        """Returns a figure of some images with their labels, the same number of each class as far as there are.

        Args:
          images: Number of images, at least 1.

        Raises:
          ConfigError: The number is below 1.
          DataError: They are texts.
        """
        if images < 1:
            raise ConfigError(f"images: expected 1 or more to show. Received: {images}. Use data.show(16).")
        from matplotlib.figure import Figure

        source = self.images.source
        if source.noun != "image":
            raise DataError(f"show: expected images. Received: {source.noun}s. Print them instead.")
        chosen = self._spread(images)
        columns = min(4, len(chosen))
        rows = -(-len(chosen) // columns)
        figure = Figure(figsize=(2.2 * columns, 2.4 * rows), layout="constrained")
        for position, index in enumerate(chosen):
            axes = figure.add_subplot(rows, columns, position + 1)
            axes.imshow(decode_image(tf.constant(source.encoded_image(index))).numpy().astype(np.uint8))
            axes.set_title(source.labelling.text(source.labels[index], source.class_names), fontsize=9)
            axes.set_axis_off()
        return figure

    def _spread(self, images: int) -> list[int]:
        """Returns positions of decodable images that take turns in class."""
        usable = np.flatnonzero(self.images.inspection.decodable)
        strata = self.images.source.labelling.strata(self.labels[usable])
        turn = np.zeros(len(usable), np.int64)
        for stratum in np.unique(strata):
            members = np.flatnonzero(strata == stratum)
            turn[members] = np.arange(len(members))
        return usable[np.lexsort((strata, turn))][:images].tolist()

    def __repr__(self) -> str:
        return f"<LabelledData: {self.config.data.source}>"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{split}</th>" for split in SPLITS)
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th>{''.join(f'<td>{counts[split]}</td>' for split in SPLITS)}</tr>"
            for name, counts in self.counts().items()
        )
        issues = "".join(f"<li>{html.escape(issue)}</li>" for issue in self.issues())
        name = html.escape(self.config.data.source)
        return f"<table><caption>{name}</caption><tr><th></th>{head}</tr>{rows}</table><ul>{issues}</ul>"


def as_data(data: Any) -> LabelledData:
    """Returns what `load_data` makes of anything that it takes; of what it has returned, the same."""
    return data if isinstance(data, LabelledData) else load_data(data)


def _is_table(images: Any) -> bool:
    if isinstance(images, (str, os.PathLike)):
        return os.fspath(images).startswith(_TABLES)
    return type(images).__module__.partition(".")[0] in ("pandas", "datasets")
