"""Images in class folders: `DIR/CLASS/*`, or `DIR/{train,val,test}/CLASS/*`."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np

from tl_keras.data.base import SPLIT_OF_NAME, FileSource
from tl_keras.errors import DataError, nearest

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")


class FolderSource(FileSource):
    """A directory of class folders, or of train/, val/ (valid/, validation/) and test/ folders of them.

    Below its class an image may lie at any depth. Hidden files are ignored; files of other kinds are left alone and
    counted in a note.

    Args:
      directory: The directory.

    Raises:
      DataError: It is missing, is a file, holds no images or no class folders, mixes class and split folders, or has
        no training images of a class that it validates or tests.
    """

    def __init__(self, directory: str):
        root = Path(directory)
        _require_directory(root)
        ids: list[str] = []
        class_of_image: list[str] = []
        splits: list[str] = []
        empty_folders: list[str] = []
        other_files: Counter[str] = Counter()
        for split, folder in _class_folders(root):
            found = _list_images(root, folder, other_files)
            if not found:
                empty_folders.append(folder.relative_to(root).as_posix())
            ids += found
            class_of_image += [folder.name] * len(found)
            splits += [split] * len(found)

        loose = _loose_images(root)
        if not ids:
            raise DataError(_no_images(root, loose, other_files))
        _require_training_images(root, np.array(class_of_image), np.array(splits))
        class_names, labels = np.unique(class_of_image, return_inverse=True)
        notes = []
        if empty_folders:
            notes.append(f"class folders without images, left out: {', '.join(empty_folders)}")
        if other_files:
            notes.append(f"other files, left alone: {_counted(other_files)}")
        if loose:
            notes.append(f"images in no class folder, left alone: {len(loose)}, the first is {loose[0]}")
        super().__init__(
            name=directory,
            class_names=class_names.tolist(),
            ids=ids,
            labels=labels,
            declared_splits=np.array(splits),
            notes=notes,
            paths=[os.fsencode(root / image_id) for image_id in ids],
        )


def _require_directory(root: Path) -> None:
    if root.is_dir():
        return
    if root.exists():
        kind = {".csv": "csv", ".npz": "npz", ".tfrecord": "tfrecord"}.get(root.suffix.lower())
        remedy = f"Use {kind}:{root}." if kind else "Name the directory above the class folders."
        raise DataError(f"{root}: expected a directory of class folders. Received a file. {remedy}")
    siblings = [path.name for path in root.parent.iterdir() if path.is_dir()] if root.parent.is_dir() else []
    raise DataError(
        f"{root}: expected a directory of images. Received a path that does not exist. "
        f"{nearest(root.name, siblings)}Use a directory, csv:FILE, tfrecord:GLOB, tfds:NAME, npz:FILE or digits."
    )


def _class_folders(root: Path) -> list[tuple[str, Path]]:
    """Returns (split or empty, folder of a class), in order of their names."""
    top = _subfolders(root)
    splits = [folder for folder in top if folder.name.lower() in SPLIT_OF_NAME]
    others = [folder.name for folder in top if folder not in splits]
    declared = {SPLIT_OF_NAME[folder.name.lower()] for folder in splits}
    if others and len(declared) > 1:
        raise DataError(
            f"{root}: expected class folders, or train, val and test folders of them. Received both: "
            f"{', '.join(folder.name for folder in splits)} beside {', '.join(others)}. Move the others away."
        )
    # One name of a split among others is a class: photos of a train, a car and a plane.
    if others or not splits:
        return [("", folder) for folder in top]
    if "train" not in declared:
        raise DataError(
            f"{root}: expected a train folder beside {splits[0].name}. Received none. "
            f"To use the classes inside, name {splits[0]} itself."
        )
    return [(SPLIT_OF_NAME[split.name.lower()], folder) for split in splits for folder in _subfolders(split)]


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _list_images(root: Path, folder: Path, other_files: Counter[str]) -> list[str]:
    """Returns the images at any depth below a folder, relative to the root; counts other files by extension."""
    images = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        prefix = Path(parent).relative_to(root).as_posix()
        for name in sorted(name for name in files if not name.startswith(".")):
            if name.lower().endswith(IMAGE_SUFFIXES):
                images.append(f"{prefix}/{name}")
            else:
                other_files[Path(name).suffix.lower() or "no extension"] += 1
    return images


def _loose_images(root: Path) -> list[str]:
    """Returns the images that lie directly in the root or in a split folder, where a class folder was expected."""
    folders = [root, *(folder for folder in _subfolders(root) if folder.name.lower() in SPLIT_OF_NAME)]
    listed_as_class = {folder for _, folder in _class_folders(root)}
    return sorted(
        path.relative_to(root).as_posix()
        for folder in folders
        if folder not in listed_as_class
        for path in folder.iterdir()
        if path.name.lower().endswith(IMAGE_SUFFIXES) and path.is_file() and not path.name.startswith(".")
    )


def _no_images(root: Path, loose: list[str], other_files: Counter[str]) -> str:
    if loose:
        return (
            f"{root}: expected one folder a class, {root}/CLASS/*. Received {len(loose)} images in no class folder, "
            f"the first is {loose[0]}. Put the images of each class into a folder of its name."
        )
    received = f"other files only: {_counted(other_files)}" if other_files else "no files in class folders"
    return (
        f"{root}: expected images ({', '.join(IMAGE_SUFFIXES)}) in class folders, {root}/CLASS/*. "
        f"Received {received}. Name the directory above the class folders, or convert the images."
    )


def _require_training_images(root: Path, class_of_image: np.ndarray, splits: np.ndarray) -> None:
    for split in ("validation", "test"):
        missing = set(class_of_image[splits == split]) - set(class_of_image[splits == "train"])
        if missing:
            raise DataError(
                f"{root}: expected training images of every class. Received {', '.join(sorted(missing))} in "
                f"{split} only. Add such images to train, or remove the class from {split}."
            )


def _counted(other_files: Counter[str]) -> str:
    return ", ".join(f"{count} {suffix}" for suffix, count in other_files.most_common())
