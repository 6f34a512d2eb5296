"""Holds the user's options for a source beside its name; imports no TensorFlow."""

from __future__ import annotations

import dataclasses

from tl_keras.config import TransferConfig, parse_columns, parse_splits


@dataclasses.dataclass(frozen=True)
class SourceOptions:
    """Options for reading a source; each field is written as in the config.

    Attributes:
      data_dir: Directory of prepared TFDS datasets; empty for TFDS's own default.
      splits: Meanings of other names of splits, as `fold_1=train,fold_2=test`; `none` if no folder is a split.
      columns: Columns of a table, as `image=id,label=breed`.
      images_in: Directory of the images that a table names; empty for the table's own.
      task: `auto`, or `single_label`, which accepts the labels without question.
      group_by: Way in which names tell groups, as in `tl_keras.data.groups.groups_by_name`; empty for none.
      cache_folder: Directory for unpacked archives and remote files; empty for the user's cache directory.
    """

    data_dir: str = ""
    splits: str = ""
    columns: str = ""
    images_in: str = ""
    task: str = "auto"
    group_by: str = ""
    cache_folder: str = ""

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
        )

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
