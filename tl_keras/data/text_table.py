"""Reads sentences from tables: which tables hold them, and their rows as a source."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tl_keras.console import number_of
from tl_keras.data.base import RandomAccessSource, encode_classes
from tl_keras.data.groups import groups_of_column
from tl_keras.data.image_table import labelled, read_splits
from tl_keras.data.options import SourceOptions
from tl_keras.data.order import on_host
from tl_keras.data.table import Table
from tl_keras.errors import DataError

# Texts within a block, which each epoch draws, are sorted by length; groups of a usual batch are then shuffled.
_BLOCK, _TOGETHER = 1024, 32


class TextTableSource(RandomAccessSource):
    """Texts of a table with a column for texts, one for labels, and optionally one each for splits and groups.

    Args:
      table: The table.
      options: Names of its columns.
      ids: Names of the rows; empty for their lines.

    Raises:
      DataError: A column is missing, or a row has no label.
    """

    noun = "text"

    def __init__(self, table: Table, options: SourceOptions, *, ids: Sequence[str] = ()):
        table, chosen, names, labels, more = labelled(table, options, what="text")
        texts = table.column(chosen["text"])
        if unlabelled := [line for line, label in zip(table.lines, labels, strict=True) if label == ""]:
            raise DataError(
                f"{table.name} line {unlabelled[0]}: expected a label. Received none"
                f"{f', as in {len(unlabelled) - 1} more rows' if unlabelled[1:] else ''}. Complete or remove the rows."
            )
        splits, notes = read_splits(table, chosen, options)
        kept = [index for index, split in enumerate(splits) if split != "unused"]
        if len(kept) < len(texts):
            notes.append(f"rows that are to be left out: {len(texts) - len(kept)}")
        wanted = [labels[index] for index in kept]
        class_names, numbers = (names, np.array(wanted)) if names else encode_classes(wanted)
        groups = None
        if "group" in chosen and options.group_by in ("", chosen["group"]):
            of = table.column(chosen["group"])
            members = [of[index] for index in kept]
            groups = groups_of_column(table.name, chosen["group"], members, group_by=options.group_by)
        super().__init__(
            name=table.name,
            class_names=class_names,
            ids=[ids[index] if ids else f"line:{table.lines[index]}" for index in kept],
            labels=numbers,
            declared_splits=np.array([splits[index] for index in kept]),
            groups=groups,
            notes=[
                *table.notes,
                *more,
                f"{number_of(len(kept), 'text')} from the column {chosen['text']}, labels from {chosen['label']}",
                *notes,
            ],
        )
        self._texts = [texts[index].encode("utf-8", "replace") for index in kept]
        self._tensor = on_host(np.array(self._texts, object))
        self._lengths = on_host(np.array([len(text) for text in self._texts], np.int64))

    def ordered(
        self, indices: np.ndarray, *, shuffle_seed: tf.Tensor | None, weights: np.ndarray | None = None
    ) -> tf.Tensor:
        """Implements `RandomAccessSource.ordered`: shuffled, texts of about the same length stand together, to be padded little."""
        order = super().ordered(indices, shuffle_seed=shuffle_seed, weights=weights)
        if shuffle_seed is None:
            return order
        block = tf.range(tf.size(order, tf.int64)) // _BLOCK
        longest = tf.reduce_max(self._lengths) + 1
        by_length = tf.gather(order, tf.argsort(block * longest + tf.gather(self._lengths, order), stable=True))
        whole = tf.size(order) // _TOGETHER * _TOGETHER
        groups = tf.reshape(by_length[:whole], (-1, _TOGETHER))
        shuffled = tf.random.experimental.stateless_shuffle(groups, seed=tf.stack([shuffle_seed, 1]))
        return tf.concat([tf.reshape(shuffled, [-1]), by_length[whole:]], axis=0)

    def read(self, index: tf.Tensor) -> tf.Tensor:
        """Implements `RandomAccessSource.read`: the text in UTF-8, string ()."""
        return tf.gather(self._tensor, index)

    def encoded_image(self, index: int) -> bytes:
        """Implements `Source.encoded_image`: the text in UTF-8."""
        return self._texts[index]

    def contents_revision(self) -> str:
        """Implements `Source.contents_revision`."""
        return hashlib.sha256(b"\0".join(self._texts)).hexdigest()
