"""Reads what confusions of classes cost, from a CSV file."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Sequence

from tl_keras.errors import ConfigError
from tl_keras.user_folders import expanded


def read_costs(path: str | os.PathLike[str], class_names: Sequence[str]) -> tuple[tuple[float, ...], ...]:
    """Returns the cost of each answer, a row for each right class, both in the order of the classes.

    Args:
      path: CSV file, of commas or semicolons, whose first row has the answers, after an empty cell, and whose other rows begin with
        the right class.
      class_names: Names of the classes.

    Raises:
      ConfigError: The file cannot be read, its classes are others, or a cell is no number.
    """
    try:
        text = expanded(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"costs: expected a CSV file. Received: {path}, which cannot be read ({type(error).__name__}). "
            "Check the path, and save the table as CSV in UTF-8."
        ) from error
    lines = text.splitlines()
    semicolons = ";" in "".join(lines[:1]) and "," not in lines[0]  # as spreadsheets write where commas are decimal
    read = csv.reader(lines, delimiter=";" if semicolons else ",")
    rows = [[cell.strip() for cell in row] for row in read if any(cell.strip() for cell in row)]
    answers, rights = (rows[0][1:] if rows else []), [row[0] for row in rows[1:]]
    for what, names in (("columns", answers), ("rows", rights)):
        if sorted(names) != sorted(class_names):
            raise ConfigError(
                f"costs: expected {what} named {', '.join(class_names)}, each once. Received in {path}: "
                f"{', '.join(names) or 'none'}. Write a row for each right class and a column for each answer."
            )
    by_name = {row[0]: dict(zip(answers, row[1:], strict=False)) for row in rows[1:]}
    costs = tuple(tuple(_cost(path, right, by_name[right], answer) for answer in class_names) for right in class_names)
    for number, (right, row) in enumerate(zip(class_names, costs, strict=True)):
        if cheaper := [class_names[at] for at, cost in enumerate(row) if cost < row[number]]:
            raise ConfigError(
                f"costs: expected the right answer to cost least. Received in {path}: {row[number]:g} for {right} answered rightly "
                f"and less for {cheaper[0]}. Rows are the right classes, columns the answers."
            )
    if all(len(set(row)) == 1 for row in costs):
        raise ConfigError(
            f"costs: expected some confusions to cost more than right answers. Received in {path}: equal costs in each row. Write "
            "what a wrong answer costs, or leave costs out."
        )
    return costs


def _cost(path: str | os.PathLike[str], right: str, row: dict[str, str], answer: str) -> float:
    try:
        cost = float(row.get(answer, "").replace(",", "."))
    except ValueError:
        cost = math.nan
    if not math.isfinite(cost):
        raise ConfigError(
            f"costs: expected a number for each answer. Received in {path}: {row.get(answer) or 'nothing'} for {right} taken for "
            f"{answer}. Write 0 where it costs nothing."
        )
    return cost
