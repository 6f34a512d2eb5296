"""Reads images in class folders: `DIR/CLASS/*`, or `DIR/{train,val,test}/CLASS/*`."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from tl_keras.data.base import FileSource
from tl_keras.data.layouts import list_class_folders


class FolderSource(FileSource):
    """A directory of class folders, or of folders for train, validation and test that contain class folders.

    `tl_keras.data.layouts` tells which folders are which, and `tl_keras.data.image_files` which files are images.

    Args:
      directory: Path of the directory.
      splits: Splits that the user gives to folders; see `list_class_folders`.
      archive: Name of the archive that the directory was unpacked from; empty for the user's own directory.
      notes: Earlier remarks, such as on other entries of the archive.
      cache_folder: Directory of the cache, as in `FileSource`.

    Raises:
      DataError: `list_class_folders` refuses the directory.
    """

    def __init__(
        self,
        directory: str,
        *,
        splits: Mapping[str, str] | None = None,
        archive: str = "",
        notes: tuple[str, ...] = (),
        cache_folder: str = "",
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
            cache_folder=cache_folder,
        )
