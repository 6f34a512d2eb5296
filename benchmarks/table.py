"""Writes what was measured into docs/benchmarks.md: `python -m benchmarks.table`, from benchmarks/results/PART.json."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pathlib

from benchmarks.measuring import Row, as_table

RESULTS = pathlib.Path(__file__).parent / "results"
PAGE = pathlib.Path(__file__).parents[1] / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- measured: python -m benchmarks.table -->\n", "<!-- end of what was measured -->\n"


def page(text: str, results: pathlib.Path) -> str:
    """Returns the text of a page with what was measured between its two marks.

    Args:
      text: Of the page, with the marks.
      results: The folder with the JSON files.
    """
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    documents = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in results.glob("*.json")}
    parts = [_part(name, document) for name, document in documents.items()]
    return before + _BEGIN + "\n" + "\n".join(sorted(parts)) + "\n" + _END + after  # by their letters


def _part(name: str, document: dict) -> str:
    """Returns what a part measures, its table, and on which machine with which versions that was."""
    fields = [field.name for field in dataclasses.fields(Row)]
    rows = [Row(**{field: row[field] for field in fields}) for row in document["rows"]]
    title = (importlib.import_module(f"benchmarks.{name}").__doc__ or "").splitlines()[0]
    machine = document["machine"]
    versions = ", ".join(
        f"{package} {version}"
        for installed in document["versions"].values()
        for package, version in installed.items()
        if package not in ("python", "numpy")
    )
    return (
        f"{title}\n\n{as_table(rows)}\n\n`python -m benchmarks {name} --repetitions={len(rows[0].numerator)}`, commit "
        f"{document['commit']}, {machine['cores']} x {machine['processor']}, {versions}.\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), RESULTS), encoding="utf-8")
