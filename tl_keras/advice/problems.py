"""Records what is wrong with a set of images or texts, one kind at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from tl_keras.config import TransferConfig


@dataclasses.dataclass(frozen=True)
class Problem:
    """One kind of problem, with its cases.

    Attributes:
      kind: Name in one or two words, such as `label`.
      meaning: Explanation and remedy, in a sentence.
      rows: Tuples of ids, one per case, the worst first; a case is one image or several that belong together.
      remarks: Remarks, one per case, such as the class that the features suggest.
    """

    kind: str
    meaning: str
    rows: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...]


class Checks(Protocol):
    """What is looked at in images alone, or in texts alone.

    Attributes:
      config: Config by which a teacher's features of them are computed.
    """

    @property
    def config(self) -> TransferConfig:
        """Returns the config."""

    def near_copies(self) -> np.ndarray:
        """Returns a number for each that can be read, int64 (n,), that of the first which is exactly or nearly the same."""

    def problems(self, together: np.ndarray) -> Iterator[Problem]:
        """Yields the problems of this kind of data, those without a case too.

        Args:
          together: int64 (n,), the same number for copies of each other, and for those of a group.
        """


def single(kind: str, meaning: str, ids: Sequence[str], remarks: Sequence[str] = ()) -> Problem:
    """Returns a problem whose cases are one image or text each.

    Args:
      kind: Name in one or two words.
      meaning: Explanation and remedy.
      ids: Ids of the cases, the worst first.
      remarks: Remarks, one per case; none for no remark at all.
    """
    return Problem(kind, meaning, tuple((each,) for each in ids), tuple(remarks) or ("",) * len(ids))
