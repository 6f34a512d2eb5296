"""Holds the user's options for a source beside its name; imports no TensorFlow."""

from __future__ import annotations

import dataclasses

from tl_keras.config import TransferConfig, parse_columns, parse_splits
from tl_keras.config.choices import LabelKind, label_kind_of


@dataclasses.dataclass(frozen=True)
class SourceOptions:
    """Options for reading a source: those of the config with the same names, written and described as there.

    Attributes:
      cache_folder: Directory for unpacked archives and remote files, `cache.folder` in the config.
    """

    data_dir: str = ""
    splits: str = ""
    columns: str = ""
    images_in: str = ""
    task: str = "auto"
    group_by: str = ""
    cache_folder: str = ""
    class_order: str = ""

    @classmethod
    def of(cls, config: TransferConfig) -> SourceOptions:
        """Returns the options in a config."""
        data = config.data
        return cls(
            data.data_dir,
            data.splits,
            data.columns,
            data.images_in,
            config.task,
            data.group_by,
            config.cache.folder,
            data.class_order,
        )

    @property
    def label_kind(self) -> LabelKind:
        """Returns what the labels are."""
        return label_kind_of(self.task)

    @property
    def meanings(self) -> dict[str, str]:
        """Returns the splits by the names that mean them, in lower case."""
        return parse_splits(self.splits) or {}

    @property
    def folder_meanings(self) -> dict[str, str] | None:
        """Returns the meanings of folder names: None if known names are splits, an empty mapping if no folder is a split."""
        return parse_splits(self.splits)

    @property
    def column_names(self) -> dict[str, str]:
        """Returns names of columns by content: image, label, split, group; `none` for one that must not be used."""
        return parse_columns(self.columns)


NO_OPTIONS = SourceOptions()
