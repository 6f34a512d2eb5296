"""What a user says of a source beside its name; nothing here imports TensorFlow."""

from __future__ import annotations

import dataclasses

from tl_keras.config import TransferConfig, parse_columns, parse_splits


@dataclasses.dataclass(frozen=True)
class SourceOptions:
    """How a source is to be read; each field is written as in the config.

    Attributes:
      data_dir: Folder of prepared TFDS datasets; empty: TFDS's own default.
      splits: Splits that are meant by other names, as `fold_1=train,fold_2=test`; `none`: no folder is a split.
      columns: Columns of a table, as `image=id,label=breed`.
      images_in: Folder of the images that a table names; empty: the table's own.
      task: `auto` or `single_label`, which is not questioned.
      cache_folder: Where archives are unpacked and remote files kept; empty: the user's cache directory.
    """

    data_dir: str = ""
    splits: str = ""
    columns: str = ""
    images_in: str = ""
    task: str = "auto"
    cache_folder: str = ""

    @classmethod
    def of(cls, config: TransferConfig) -> SourceOptions:
        """Returns the options that a config has."""
        data = config.data
        return cls(data.data_dir, data.splits, data.columns, data.images_in, config.task, config.cache.folder)

    @property
    def meanings(self) -> dict[str, str]:
        """Splits by the names that mean them, in lower case."""
        return parse_splits(self.splits) or {}

    @property
    def folder_meanings(self) -> dict[str, str] | None:
        """Those of folders: None where known names are splits, an empty mapping where no folder is one."""
        return parse_splits(self.splits)

    @property
    def column_names(self) -> dict[str, str]:
        """Names of columns by what they hold: image, label, split, group; `none` for one that is not to be used."""
        return parse_columns(self.columns)


NO_OPTIONS = SourceOptions()
