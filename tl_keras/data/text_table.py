"""Reads sentences from tables: which tables hold them, and their rows as a source."""

from __future__ import annotations

import hashlib

import numpy as np
import tensorflow as tf

from tl_keras.console import number_of
from tl_keras.data.base import RandomAccessSource, encode_classes, on_host
from tl_keras.data.groups import Groups
from tl_keras.data.image_table import labelled, read_splits
from tl_keras.data.options import SourceOptions
from tl_keras.data.table import Table
from tl_keras.errors import DataError


class TextTableSource(RandomAccessSource):
    """Texts of a table with a column for texts, one for labels, and optionally one each for splits and groups.

    Args:
      table: The table.
      options: Names of its columns.

    Raises:
      DataError: A column is missing, or a row has no label.
    """

    noun = "text"

    def __init__(self, table: Table, options: SourceOptions):
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
        if "group" in chosen and not options.group_by:
            of = table.column(chosen["group"])
            groups = Groups.of_column(f"the column {chosen['group']}", [of[index] for index in kept])
        super().__init__(
            name=table.name,
            class_names=class_names,
            ids=[f"line:{table.lines[index]}" for index in kept],
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

    def read(self, index: tf.Tensor) -> tf.Tensor:
        """Implements `RandomAccessSource.read`: the text in UTF-8, string ()."""
        return tf.gather(self._tensor, index)

    def encoded_image(self, index: int) -> bytes:
        """Implements `Source.encoded_image`: the text in UTF-8."""
        return self._texts[index]

    def contents_revision(self) -> str:
        """Implements `Source.contents_revision`."""
        return hashlib.sha256(b"\0".join(self._texts)).hexdigest()
