"""Finds the images below a folder by one rule for training, inspection, evaluation and prediction.

It imports no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from tl_keras.data import conversion
from tl_keras.data.file_kinds import CONVERTED_SUFFIXES, SUFFIXES, UNREAD_SUFFIXES, kind_of_file, suffix_of

IMAGE_SUFFIXES = tuple(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
_CONVERTED = frozenset(suffix for suffixes in CONVERTED_SUFFIXES.values() for suffix in suffixes)

# Suffixes that are named in a note; what follows the last dot can be another text in each file's name.
_SUFFIXES_SHOWN = 10

# Folders that programs create beside photos: thumbnails of a NAS, macOS's resource forks, trash, what repairs of a disk found.
_FOLDERS_OF_PROGRAMS = re.compile(
    r"@eadir|__macosx|[#@]recycle|#snapshot|\$recycle\.bin|recycler|lost\+found|lost\.dir|found\.\d{3}|system volume information",
    re.IGNORECASE,
)


def is_image(name: str) -> bool:
    """Returns whether a file's name has the suffix of an image; for many names see `image_test`."""
    return image_test()(name)


def image_test() -> Callable[[str], bool]:
    """Returns `is_image` for many names: whether the extra `formats` is installed, which takes long to find out, is asked once."""
    suffixes = frozenset(IMAGE_SUFFIXES) | (_CONVERTED if conversion.can_convert() else frozenset())
    return lambda name: suffix_of(name) in suffixes


class LeftOut:
    """Counts the entries that a listing leaves out, by reason, with the first name of each."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}
        self.other_files: Counter[str] = Counter()

    def add(self, reason: str, name: str, count: int = 1) -> None:
        """Counts entries; `reason` is a plural, such as "hidden images"."""
        if count:
            self._counts[reason] += count
            self._first.setdefault(reason, name)

    def notes(self) -> list[str]:
        """Returns a line for each reason."""
        notes = [
            f"{reason}, left out: {count}, the first is {self._first[reason]}" for reason, count in self._counts.items()
        ]
        if any(suffix in _CONVERTED for suffix in self.other_files):
            suffixes = ", ".join(sorted(_CONVERTED & set(self.other_files)))
            notes.insert(0, f"some of these are images: {suffixes} are read after {conversion.REMEDY}")
        if unread := sorted(filter(_may_be_image, self.other_files)):
            more = len(unread) - _SUFFIXES_SHOWN
            which = ", ".join(unread[:_SUFFIXES_SHOWN]) + (f" and {more} more" if more > 0 else "")
            notes.insert(0, f"{which} are not read; where they are images, save them as .jpg or .png")
        return [f"other files, left alone: {counted(self.other_files)}", *notes] if self.other_files else notes


@dataclasses.dataclass
class Folder:
    """A folder, read with everything below it.

    Attributes:
      path: Path below the folder that was read first; empty for that one.
      images: Names of the images directly in it, sorted.
      folders: Folders in it, sorted by name.
      other_files: Number of its other files by suffix.
      count: Number of images at any depth.
    """

    path: str
    images: list[str] = dataclasses.field(default_factory=list)
    folders: list[Folder] = dataclasses.field(default_factory=list)
    other_files: Counter[str] = dataclasses.field(default_factory=Counter)
    count: int = 0

    @property
    def name(self) -> str:
        """Returns the name without the folders above."""
        return self.path.rpartition("/")[2]

    @property
    def filled(self) -> list[Folder]:
        """Returns the folders in it that contain images at some depth."""
        return [folder for folder in self.folders if folder.count]

    def walk(self) -> Iterator[Folder]:
        """Yields the folder and all folders below it, each before those in it."""
        waiting = [self]
        while waiting:
            folder = waiting.pop()
            yield folder
            waiting += reversed(folder.folders)

    def all_images(self) -> list[str]:
        """Returns the paths of the images at any depth."""
        return [image for folder in self.walk() for image in folder.image_paths()]

    def image_paths(self) -> list[str]:
        """Returns the paths of the images directly in it."""
        return [f"{self.path}/{name}" if self.path else name for name in self.images]


def read_tree(root: str, *, kind: FileKind | None = None) -> tuple[Folder, LeftOut]:
    """Reads a folder and everything below it; a file is opened only if its name has no suffix that says what it is.

    Links to folders are followed, unless they lead back to a folder above or to one already read behind the same link.

    Args:
      root: Path of the folder.
      kind: Kind of files that are listed, as the `images` of each folder; None for images.

    Returns:
      The folder, and what was left out: hidden files and folders, folders that other programs create, links that lead
      nowhere or back, entries that are neither file nor folder, and entries without permission.
    """
    kind = kind or FileKind(image_test(), _begins_as_image)
    left_out, top = LeftOut(), Folder("")
    for link in _read_below(root, top, left_out, kind, seen=None):
        seen = set(_identities_above(os.path.join(root, link.path)))
        waiting = [link]
        while waiting:
            waiting += _read_below(root, waiting.pop(0), left_out, kind, seen=seen)
    for folder in reversed(list(top.walk())):
        folder.count = len(folder.images) + sum(inner.count for inner in folder.folders)
        left_out.other_files.update(folder.other_files)
    return top, left_out


def list_images(path: str | os.PathLike[str]) -> tuple[list[str], list[str]]:
    """Returns the images below a folder, or the file that a path names, and a note for everything left out.

    Args:
      path: A folder, or a file, which is taken whatever its name.
    """
    path = os.fspath(path)
    if not os.path.isdir(path):
        return [path], []
    top, left_out = read_tree(path)
    files = [os.path.join(path, image) for image in top.all_images()]
    return files, [f"{path}: {note}" for note in left_out.notes()]


def counted(files: Counter[str]) -> str:
    """Returns "2 .webp, 1 .txt" for numbers of files by suffix, the most frequent ones."""
    most = files.most_common(_SUFFIXES_SHOWN)
    rest = files.total() - sum(count for _, count in most)
    others = f" and {rest} of {len(files) - len(most)} other suffixes" if rest else ""
    return ", ".join(f"{count} {suffix}" for suffix, count in most) + others


def _read_below(
    root: str, start: Folder, left_out: LeftOut, kind: FileKind, *, seen: set[tuple[int, int]] | None
) -> list[Folder]:
    """Fills a folder and those below it; returns the links to folders found there, which are still empty.

    Args:
      root: Path of the folder that was read first.
      start: Folder to fill.
      left_out: Counts, which are increased.
      kind: Kind of files that are listed.
      seen: Identities of folders that must not be read behind a link; folders that are read are added. None reads all.
    """
    links, waiting = [], [start]
    while waiting:
        folder = waiting.pop()
        here = os.path.join(root, folder.path)
        if seen is not None:
            identity = _identity(here)
            if identity in seen:
                left_out.add("links that lead back", folder.path)
                continue
            seen.add(identity)
        try:
            with os.scandir(here) as entries:
                inner, linked = _sort_in(folder, entries, left_out, kind)
        except OSError:
            left_out.add("folders that cannot be read", folder.path or root)
            continue
        waiting += inner
        links += linked
        folder.folders = sorted([*inner, *linked], key=lambda each: each.path)
    return sorted(links, key=lambda each: each.path)


def _sort_in(
    folder: Folder, entries: Iterable[os.DirEntry[str]], left_out: LeftOut, kind: FileKind
) -> tuple[list[Folder], list[Folder]]:
    """Puts the files of a folder into it; returns its folders, and its links to folders."""
    inner: list[Folder] = []
    linked: list[Folder] = []
    prefix = f"{folder.path}/" if folder.path else ""
    for entry in entries:
        name, path, is_link = entry.name, prefix + entry.name, entry.is_symlink()
        # A link to itself raises an error when the entry is asked, and does not exist for the path.
        if os.path.isdir(entry.path) if is_link else entry.is_dir():
            if name.startswith(".") or _FOLDERS_OF_PROGRAMS.fullmatch(name):
                count, first = _images_below(entry, kind)
                left_out.add("images in hidden folders and in folders that programs make", f"{prefix}{first}", count)
            else:
                (linked if is_link else inner).append(Folder(path))
        elif is_link and not os.path.exists(entry.path):
            left_out.add("links that lead nowhere", path)
        elif name.startswith("."):
            left_out.add("hidden images", path, kind.by_name(name))
        elif (suffix := suffix_of(name)) and not kind.by_name(name):
            folder.other_files[suffix] += 1
        elif not entry.is_file():
            left_out.add("neither files nor folders", path)
        elif suffix or kind.by_content(entry.path):
            folder.images.append(name)
        else:
            folder.other_files["without suffix"] += 1
    folder.images.sort()
    return inner, linked


def _may_be_image(suffix: str) -> bool:
    """Returns whether files of a suffix that is not read may be images all the same: .dng, .jpg_large."""
    return suffix in UNREAD_SUFFIXES or (suffix not in IMAGE_SUFFIXES and suffix.startswith(IMAGE_SUFFIXES))


def _begins_as_image(path: str) -> bool:
    """Returns whether a file whose name does not say what it is begins as an image does."""
    kind = kind_of_file(path)
    return kind in SUFFIXES or (kind in CONVERTED_SUFFIXES and conversion.can_convert())


@dataclasses.dataclass(frozen=True)
class FileKind:
    """The files that a folder is read for.

    Attributes:
      by_name: Function that tells from a name with a suffix whether it is one.
      by_content: Function that tells from the path of a file without a suffix whether it is one.
    """

    by_name: Callable[[str], bool]
    by_content: Callable[[str], bool]


def _images_below(folder: os.DirEntry[str], kind: FileKind) -> tuple[int, str]:
    """Returns the number of files of a kind in a folder at any depth, and the path of one of them."""
    count, first = 0, ""
    if folder.is_symlink():
        return count, first
    for parent, _, names in os.walk(folder.path):
        for name in filter(kind.by_name, names):
            count += 1
            first = first or os.path.join(folder.name, os.path.relpath(parent, folder.path), name).replace("/./", "/")
    return count, first


def _identities_above(path: str) -> Iterator[tuple[int, int]]:
    """Yields the identities of the folders that contain a path, up to the root."""
    above = os.path.dirname(os.path.abspath(path))
    for start in {above, os.path.realpath(above)}:
        while True:
            yield _identity(start)
            if start == os.path.dirname(start):
                break
            start = os.path.dirname(start)


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino
