"""Tells which folders are classes and which are splits; imports no TensorFlow.

```
DIR/CLASS/*               one folder per class; below it, images may lie at any depth
DIR/SPLIT/CLASS/*         splits by their many names: train, Training, seg_train, dev, test_images, ...
DIR/SPLIT/SPLIT/CLASS/*   a doubled folder, as some archives have it
DIR/CLASS/SPLIT/*         splits inside each class
```
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from tl_keras.console import number_of
from tl_keras.data.class_names import alike
from tl_keras.data.image_files import Folder, LeftOut, counted, read_tree
from tl_keras.data.other_files import how_to_read, table_remedy
from tl_keras.data.split_names import split_of_name, splits_of_names
from tl_keras.errors import DataError

# Names of a folder that stands alone between a split and its classes and is not a class.
_FILLERS = {"image", "images", "img", "imgs", "data", "photos"}
_NAMES_SHOWN = 10
_MOST_SPLITS = 100  # more folders beside each other are classes


@dataclasses.dataclass(frozen=True)
class Listing:
    """The images of a folder, one entry each in every column.

    Attributes:
      ids: Paths below the folder.
      classes: Names of their classes.
      splits: `train`, `validation`, `test` or empty.
      notes: One-line remarks for the user.
    """

    ids: list[str]
    classes: list[str]
    splits: list[str]
    notes: list[str]


@dataclasses.dataclass(frozen=True)
class _Layout:
    """The folders that hold the images of each class and split.

    Attributes:
      parts: Split (or empty), class and folder of each part.
      above: Folders above those of the classes, whose own images belong to no class.
      notes: Remarks on folders that were not read literally.
      split_folders: Splits of the folders that are splits, by their names.
    """

    parts: list[tuple[str, str, Folder]]
    above: list[Folder]
    notes: list[str]
    split_folders: Mapping[str, str] = dataclasses.field(default_factory=dict)


def list_class_folders(root: str, *, splits: Mapping[str, str] | None = None, name: str = "") -> Listing:
    """Lists the images below a folder with their classes and splits.

    Args:
      root: Path of the folder.
      splits: Splits (`train`, `validation`, `test`, `unused`) that the user gives to folders of other names. With an empty
        mapping no folder is a split; with None known names are.
      name: Name of the archive that the folder was unpacked from; empty for the user's own folder.

    Raises:
      DataError: The folder holds no images or no class folders, its splits are unclear, or it has no training images of a
        class in validation or test.
    """
    shown = name or root
    tree, left_out = read_tree(root)
    layout = _choose(shown, tree, splits, unpacked=bool(name))
    listing = Listing([], [], [], layout.notes)
    empty = []
    for split, class_name, folder in layout.parts:
        if split == "unused":
            left_out.add("images in folders that are to be left out", folder.path, folder.count)
            continue
        if not folder.count:
            inside = sum((inner.other_files for inner in folder.walk()), start=type(folder.other_files)())
            empty.append(folder.path + (f" ({counted(inside)})" if inside else ""))
        listing.ids.extend(folder.all_images())
        listing.classes.extend([class_name] * folder.count)
        listing.splits.extend([split] * folder.count)
    loose = [image for folder in layout.above for image in folder.image_paths()]
    if not listing.ids:
        raise DataError(_no_images(shown, root, tree, loose, left_out))
    if len(set(listing.classes)) == 1 and (remedy := table_remedy(root, tree)):
        raise DataError(
            f"{shown}: expected one folder per class. Received the one folder {listing.classes[0]}, and a table beside it. {remedy}"
        )
    if empty:
        listing.notes.append(f"class folders without images, left out: {', '.join(empty)}")
    if loose:
        listing.notes.append(f"images in no class folder, left out: {len(loose)}, the first is {loose[0]}")
    listing.notes.extend(left_out.notes())
    _require_training_images(shown, listing, layout)
    return listing


def _choose(shown: str, tree: Folder, given: Mapping[str, str] | None, *, unpacked: bool) -> _Layout:
    """Returns the layout of a folder.

    Raises:
      DataError: It can be read in more than one way.
    """
    top, notes = _descend(shown, tree, given or {}, unpacked=unpacked)
    if given == {}:
        return _Layout(_as_classes(top), [top], notes)
    if given:
        _require_given(shown, top, given)
    unused = [folder for folder in top.folders if _given_meaning(folder.name, given or {}) == "unused"]
    if unused:
        rest = dataclasses.replace(top, folders=[folder for folder in top.folders if folder not in unused])
        top, more = _descend(shown, rest, given or {}, unpacked=unpacked)
        notes += more
    layout = _choose_among(shown, top, given or {}, notes)
    return dataclasses.replace(layout, parts=layout.parts + [("unused", folder.name, folder) for folder in unused])


def _choose_among(shown: str, top: Folder, given: Mapping[str, str], notes: list[str]) -> _Layout:
    """Returns the layout of the folders that are used."""
    folders = top.filled
    meant = splits_of_names([folder.name for folder in folders], given)
    unknown = all_unknown = [folder.name for folder in folders if not meant[folder.name]]
    if not folders:
        return _Layout(_as_classes(top), [top], notes)
    if unknown and not any(_given_meaning(folder.name, given) for folder in folders):
        if _classes_hold_splits(folders):
            return _splits_in_classes(shown, top, notes)
        if not (unknown := _split_like(folders, all_unknown)):
            if len({meant[folder.name] for folder in folders} - {""}) > 1:
                known = [folder.name for folder in folders if meant[folder.name]]
                raise DataError(
                    f"{shown}: expected class folders, or train, val and test folders of them. Received both: "
                    f"{_shown(known)} beside {_shown(all_unknown)}. Move the others away, or say what they are: "
                    f"{_flag(all_unknown, 'unused')}."
                )
            _require_no_set_inside(shown, top)
            # One name of a split among others is a class: photos of a train, a car and a plane.
            return _Layout(_as_classes(top), [top], notes)
    if unknown:
        raise DataError(
            f"{shown}: expected folders whose names say which split they are. Received {_shown(unknown)}, which hold no "
            f"images themselves and share the names of their folders. Say what they are: {_flag(unknown, 'train')} "
            "(or =validation, =test, =unused), or --splits=none where they are classes."
        )
    return _classes_in_splits(shown, top, meant, notes)


def _as_classes(top: Folder) -> list[tuple[str, str, Folder]]:
    return [("", folder.name, folder) for folder in top.folders]


def _given_meaning(name: str, given: Mapping[str, str]) -> str:
    return given.get(name) or given.get(name.lower()) or ""


def _require_no_set_inside(shown: str, top: Folder) -> None:
    """Raises a DataError if a class folder holds folders that are named as other classes."""
    # It is a copy of the set, or has more of its images.
    names = {folder.name for folder in top.filled}
    for folder in top.filled:
        inner = {each.name for each in folder.filled}
        shared = sorted((inner & names) - {folder.name})
        if shared and len(shared) >= len(inner) / 2:
            raise DataError(
                f"{shown}: expected one folder per class. Received {folder.path}, which holds folders named as those beside it "
                f"({_shown(shared)}). Leave it out with {_flag([folder.name], 'unused')}, name {shown}/{folder.path} "
                "where that is the set, or use --splits=none where it is a class."
            )


def _descend(shown: str, tree: Folder, given: Mapping[str, str], *, unpacked: bool) -> tuple[Folder, list[str]]:
    """Returns the folder that holds classes or splits: the given one, or the only one in it if that is certain."""
    top = tree
    while not top.images and len(top.filled) == 1:
        (only,) = top.filled
        inner = only.filled
        if only.name in given or split_of_name(only.name) or only.images or not inner:
            break
        doubled = only.name.lower() == (top.name or Path(shown).absolute().name).lower()
        holds_splits = len({split_of_name(folder.name) for folder in inner} - {""}) > 1
        if not (doubled or holds_splits or unpacked or len(inner) == 1):
            raise DataError(
                f"{shown}: expected one folder per class. Received the one folder {only.path}, which holds the folders "
                f"{_shown([folder.name for folder in inner])}. Where these are the classes, name {shown}/{only.path}."
            )
        top = only
    return top, [f"the images are read from {top.path}, the only folder with images"] if top is not tree else []


def _classes_hold_splits(folders: list[Folder]) -> bool:
    """Returns whether every folder contains folders that are splits, and no images itself."""
    names = [folder.name for outer in folders for folder in outer.filled]
    return (
        all(outer.filled and not outer.images for outer in folders)
        and all(map(split_of_name, names))
        and len({split_of_name(name) for name in names}) > 1
    )


def _split_like(folders: list[Folder], unknown: list[str]) -> list[str]:
    """Returns the unknown names whose folders hold no images themselves and share half of their folders' names with another."""
    inner_names = {folder.name: {inner.name for inner in folder.filled} for folder in folders if not folder.images}
    if len(inner_names) > _MOST_SPLITS:
        return []
    return [
        name
        for name in unknown
        if any(
            len(inner_names[name] & others) >= max(2, min(len(inner_names[name]), len(others)) / 2)
            for other, others in inner_names.items()
            if name in inner_names and other != name
        )
    ]


def _splits_in_classes(shown: str, top: Folder, notes: list[str]) -> _Layout:
    parts = []
    for outer in top.folders:
        meant = splits_of_names([folder.name for folder in outer.filled], {})
        for folder in outer.filled:
            if not folder.images:
                raise DataError(
                    f"{shown}: expected one set of classes. Received {_shown([each.name for each in top.filled])}, each with "
                    f"{_shown(list(meant))} of its own. Name one of them: {shown}/{outer.path}."
                )
            parts.append((meant[folder.name], outer.name, folder))
    note = f"{_shown([folder.name for folder in top.filled])} hold folders that are named as splits and read so"
    empty = [("", folder.name, folder) for folder in top.folders if not folder.count]
    return _Layout(parts + empty, [top], [*notes, note])


def _classes_in_splits(shown: str, top: Folder, meant: Mapping[str, str], notes: list[str]) -> _Layout:
    parts: list[tuple[str, str, Folder]] = []
    above = [top]
    if "train" not in meant.values():
        name = next(iter(meant))
        raise DataError(
            f"{shown}: expected a train folder beside {name}. Received none. "
            f"To use the classes inside, name {shown}/{name} itself."
        )
    for folder in top.filled:
        split = meant[folder.name]
        inner = _classes_folder(folder)
        above.append(inner)
        parts += [(split, each.name, each) for each in inner.folders]
    renamed = [f"{name} as {split}" for name, split in meant.items() if name.lower() not in (split, "val", "valid")]
    empty = [folder.path for folder in top.folders if not folder.count]
    more = [f"read: {', '.join(renamed)}"] if renamed else []
    more += [f"folders without images, left out: {_shown(empty)}"] if empty else []
    return _Layout(parts, above, [*notes, *more], meant)


def _classes_folder(split: Folder) -> Folder:
    """Returns the folder with the classes of a split: itself, or the inner one of a doubled folder (train/train, train/images)."""
    while not split.images and len(split.filled) == 1:
        (only,) = split.filled
        again = only.name.lower() in _FILLERS or split_of_name(only.name) == split_of_name(split.name) != ""
        if only.images or not (again or only.name == split.name):
            break
        split = only
    return split


def _require_given(shown: str, top: Folder, given: Mapping[str, str]) -> None:
    names = {folder.name.lower() for folder in top.folders}
    absent = [name for name in given if name.lower() not in names]
    if absent:
        raise DataError(
            f"{shown}: expected the folders of --splits. Received {_shown(absent)}, beside the folders "
            f"{_shown([folder.name for folder in top.folders])}. Correct the names."
        )


def _no_images(shown: str, root: str, tree: Folder, loose: list[str], left_out: LeftOut) -> str:
    if loose:
        return (
            f"{shown}: expected one folder per class, {shown}/CLASS/*. Received {number_of(len(loose), 'image')} in no class "
            f"folder, the first is {loose[0]}. "
            + (table_remedy(root, tree) or "Put the images of each class into a folder of its name.")
        )
    reasons = "; ".join(left_out.notes())
    received = f"no images ({reasons})" if reasons else "no files in class folders"
    remedy = how_to_read(root, tree) or "Name the directory above the class folders, or convert the images."
    expected = f"images (JPEG, PNG, BMP, GIF or WebP) in class folders, {shown}/CLASS/*"
    return f"{shown}: expected {expected}. Received {received}. {remedy}"


def _require_training_images(shown: str, listing: Listing, layout: _Layout) -> None:
    classes_of: dict[str, set[str]] = {}
    for split, name in zip(listing.splits, listing.classes, strict=True):
        classes_of.setdefault(split, set()).add(name)
    trained = classes_of.get("train", set())
    for split in ("validation", "test"):
        missing = sorted(classes_of.get(split, set()) - trained)
        if missing:
            similar = alike([*trained, *missing])
            hint = f" ({similar[0]} differ little: rename one)" if similar else ""
            folders = [name for name, meant in layout.split_folders.items() if meant == split]
            remedy = f", or leave it out: {_flag(folders, 'unused')}" if folders else ""
            raise DataError(
                f"{shown}: expected training images of every class. Received {_shown(missing)} in {split} only{hint}. "
                f"Add such images to train, remove the class from {split}{remedy}."
            )


def _flag(names: list[str], split: str) -> str:
    return f"--splits={','.join(f'{name}={split}' for name in names[:_NAMES_SHOWN])}"


def _shown(names: list[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
