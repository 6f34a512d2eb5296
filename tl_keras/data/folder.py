"""Images in class folders: `DIR/CLASS/*`, or `DIR/{train,val,test}/CLASS/*`."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from tl_keras.data.base import FileSource
from tl_keras.data.layouts import list_class_folders


class FolderSource(FileSource):
    """A directory of class folders, or of folders for train, validation and test with class folders in them.

    Which folders are which is told by `tl_keras.data.layouts`; which files are images, by `tl_keras.data.image_files`.

    Args:
      directory: Path of the directory.
      splits: Splits that the user gives to folders; see `list_class_folders`.
      archive: Name of the archive that the directory was unpacked from; empty: it is the user's own.
      notes: Remarks made before, such as what the archive held besides.

    Raises:
      DataError: `list_class_folders` refuses it.
    """

    def __init__(
        self,
        directory: str,
        *,
        splits: Mapping[str, str] | None = None,
        archive: str = "",
        notes: tuple[str, ...] = (),
    ):
        listing = list_class_folders(directory, splits=splits, name=archive)
        class_names, labels = np.unique(listing.classes, return_inverse=True)
        super().__init__(
            name=archive or directory,
            class_names=class_names.tolist(),
            ids=listing.ids,
            labels=labels,
            declared_splits=np.array(listing.splits),
            notes=(*notes, *listing.notes),
            paths=[os.fsencode(os.path.join(directory, image_id)) for image_id in listing.ids],
        )
