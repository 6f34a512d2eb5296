"""Finds images to compare others with: the typical ones of each class, and those most like an image whose label is in doubt."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tl_keras.data.sources import Source
from tl_keras.probes.vectors import directions

# Numbers of typical images of a class and of images most like another, and of images in doubt for which these are found.
_TYPICAL, _ALIKE, _COMPARED = 4, 4, 100


@dataclasses.dataclass(frozen=True)
class Exemplars:
    """Images to compare others with, by their ids.

    Attributes:
      typical: Images nearest to the mean of each class or label, the nearest first, by its name.
      alike: Images most like an image in doubt, the likest first, by its id; copies of it are none.
    """

    typical: dict[str, tuple[str, ...]]
    alike: dict[str, tuple[str, ...]]


def find_exemplars(
    source: Source, indices: np.ndarray, features: np.ndarray, *, suspects: Sequence[int], copies: np.ndarray
) -> Exemplars:
    """Finds the typical images of each class, and the images most like those in doubt.

    Args:
      source: The images.
      indices: Images that have features, int64 (n,).
      features: Their features, float32 (n, d).
      suspects: Positions among them of those whose label is in doubt, the likeliest error first; typical images are not among them.
      copies: int64 (n,), the same number for copies of each other.
    """
    seen = directions(features, features.mean(axis=0))

    def ids(rows: np.ndarray) -> tuple[str, ...]:
        return tuple(source.ids[index] for index in indices[rows].tolist())

    typical = {}
    for name, members in source.labelling.members(source.labels[indices], source.class_names).items():
        sure = np.setdiff1d(members, suspects)
        if len(sure):
            typical[name] = ids(sure[np.argsort(-(seen[sure] @ seen[sure].mean(axis=0)), kind="stable")[:_TYPICAL]])
    compared = np.array(suspects[:_COMPARED], np.int64)
    cosines = seen[compared] @ seen.T
    cosines[copies[compared][:, np.newaxis] == copies] = -np.inf
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :_ALIKE]
    alike = {
        source.ids[indices[row]]: ids(found[np.isfinite(cosine[found])])
        for row, found, cosine in zip(compared.tolist(), nearest, cosines, strict=True)
    }
    return Exemplars(typical, alike)
