"""Takes a first look at images without labels: copies, clusters and outliers, as a page and a table."""

from __future__ import annotations

import csv
import dataclasses
import pathlib
from typing import Any

import numpy as np

from tl_keras.advice.clusters import find_clusters, names_of_clusters
from tl_keras.advice.data_page import picture_of
from tl_keras.advice.image_index import IndexedImages, remarks
from tl_keras.advice.suspects import members_of_each, unlike_all_others
from tl_keras.advice.thumbnails import copies_by_thumbnails
from tl_keras.config import TransferConfig
from tl_keras.console import number_of
from tl_keras.errors import ConfigError
from tl_keras.files import reading, replacing, write_text, writing
from tl_keras.reporting.page import render

# Images shown of each cluster, and sets of copies and outliers shown; the table has all.
_SHOWN_OF_A_CLUSTER, _SHOWN, _IMAGES_OF_A_CASE = 12, 30, 6

_COLUMNS = ["image", "cluster", "name", "copy_of", "outlier"]

# Number of images from which on some can be unlike all others.
_FEWEST_FOR_OUTLIERS = 10


@dataclasses.dataclass(frozen=True)
class FirstLook:
    """What was found; positions count the images that can be decoded.

    Attributes:
      images: The images.
      clusters: Images of each cluster, int64 (k,), the largest cluster first, and in it the most typical image.
      names: Names of the clusters; empty where the network knows none.
      copies: Images of each set of copies, int64 (k,).
      outliers: Images unlike all others, int64 (k,), the least alike first.
    """

    images: IndexedImages
    clusters: list[np.ndarray]
    names: list[str]
    copies: list[np.ndarray]
    outliers: np.ndarray


def look_at(images: IndexedImages, config: TransferConfig, *, clusters: int = 0) -> FirstLook:
    """Looks for copies, clusters and outliers.

    Args:
      images: The images with their features.
      config: Config whose cache and seed are used.
      clusters: Number of clusters; 0 chooses it.
    """
    source, inspection, rows = images.source, images.inspection, images.indices
    same = copies_by_thumbnails([(source, inspection, rows)], config)
    found = find_clusters(images.features, number=clusters, seed=config.seed)
    far = np.zeros(0, np.int64)
    if len(rows) >= _FEWEST_FOR_OUTLIERS:
        far, _ = unlike_all_others(images.features, seed=config.seed)
    return FirstLook(
        images=images,
        clusters=found,
        names=names_of_clusters(images.embedder, images.features, found),
        copies=list(members_of_each(same)),
        outliers=far,
    )


def table_beside(page: pathlib.Path) -> pathlib.Path:
    """Returns the path of the table beside a page.

    Raises:
      ConfigError: A file is there that is no such table, and would be lost.
    """
    table = page.with_suffix(".csv")
    if table.exists():
        with reading(table), table.open(encoding="utf-8", errors="replace") as file:
            is_ours = file.readline().strip() == ",".join(_COLUMNS)
        if not is_ours:
            raise ConfigError(
                f"page: expected a name beside which there is no other table. Received: {page}, beside {table}, which would be "
                "replaced. Use another --page."
            )
    return table


def write_look(look: FirstLook, page: pathlib.Path) -> pathlib.Path:
    """Writes the page, and a table of all images beside it, whose path is returned.

    The table has the columns image, cluster (from 1), name of the cluster, copy_of (the first of its copies) and outlier (1 or 0).

    Raises:
      ConfigError: See `table_beside`.
      WorkdirError: The place is not writable.
    """
    table = table_beside(page)
    with writing(page, option="page"):
        page.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, _page(look), option="page")
    names = look.images.names
    cluster, copy_of = [0] * len(names), [""] * len(names)
    for number, members in enumerate(look.clusters):
        for row in members.tolist():
            cluster[row] = number
    for first, *others in (members.tolist() for members in look.copies):
        for row in others:
            copy_of[row] = names[first]
    far = set(look.outliers.tolist())
    with (
        replacing(table, option="page") as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for row, name in enumerate(names):
            number = cluster[row]
            writer.writerow([name, number + 1, look.names[number], copy_of[row], int(row in far)])
    return table


def _page(look: FirstLook) -> str:
    """Returns the page; text that comes from the data is escaped."""
    images = look.images
    copied = sum(len(members) - 1 for members in look.copies)
    found = f"{number_of(len(look.clusters), 'cluster')}, {copied} copies of others, {number_of(len(look.outliers), 'outlier')}"
    facts = [
        f"{number_of(len(images.indices), 'image')}, by the features of {images.embedder.name}: {found}.",
        *remarks(images),
    ]
    clusters = [
        _section(
            look,
            f"Cluster {number}: {name or 'no name'}, {len(members)}",
            [[row] for row in members.tolist()],
            _SHOWN_OF_A_CLUSTER,
        )
        for number, (members, name) in enumerate(zip(look.clusters, look.names, strict=True), start=1)
    ]
    others = [
        _section(look, f"Copies: {copied}", [members.tolist() for members in look.copies], _SHOWN),
        _section(look, f"Unlike all others: {len(look.outliers)}", [[row] for row in look.outliers.tolist()], _SHOWN),
    ]
    return render(
        "look.html",
        name=images.source.name,
        facts=facts,
        sections=clusters + [each for each in others if each["cases"]],
    )


def _section(look: FirstLook, heading: str, cases: list[list[int]], shown: int) -> dict[str, Any]:
    """Returns a part of the page, with the first of its cases, each of one image or of some that are alike."""
    images = look.images
    return {
        "heading": heading,
        "more": max(0, len(cases) - shown),
        "cases": [
            [
                (images.names[row], picture_of(images.source, images.inspection, int(images.indices[row])))
                for row in case[:_IMAGES_OF_A_CASE]
            ]
            for case in cases[:shown]
        ],
    }
