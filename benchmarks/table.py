"""Writes what was measured into docs/benchmarks.md, advice.md and small_models.md: `python -m benchmarks.table`."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pathlib
import statistics

from benchmarks.measuring import Row, as_table

RESULTS = pathlib.Path(__file__).parent / "results"
PAGE = pathlib.Path(__file__).parents[1] / "docs" / "benchmarks.md"

# What `python -m benchmarks.advice` writes, which is no part of `python -m benchmarks`, and its page.
ADVICE = RESULTS / "advice" / "advice.json"
ADVICE_PAGE = PAGE.with_name("advice.md")

# What `python -m benchmarks.distillation` writes, and its page.
SMALL = RESULTS / "small" / "small.json"
SMALL_PAGE = PAGE.with_name("small_models.md")

_BEGIN, _END = "<!-- measured: python -m benchmarks.table -->\n", "<!-- end of what was measured -->\n"


def page(text: str, results: pathlib.Path) -> str:
    """Returns the text of a page with what was measured between its two marks.

    Args:
      text: Text of the page, with the marks.
      results: The folder with the JSON files.
    """
    documents = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in results.glob("*.json")}
    parts = [_part(name, document) for name, document in documents.items()]
    return _between_marks(text, "\n".join(sorted(parts)))  # by their letters


def advice_page(text: str, document: dict) -> str:
    """Returns the text of a page with what the benchmark of the advice found between its two marks."""
    machine, versions = document["machine"], document["versions"]
    where = (
        f"{machine['cores']} x {machine['processor']}, TensorFlow {versions['tensorflow']}, Keras {versions['keras']}."
    )
    return _between_marks(text, f"{advice_table(document['sets'])}\n{where}\n")


def advice_table(sets: dict[str, dict]) -> str:
    """Returns a row for each set, and the means."""
    lines = [
        "| set | recommended | weighted Kendall tau | regret, points | cost of the advice | seconds: looking, rehearsal; all "
        "runs | estimated / measured seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in sets.items():
        teacher, unfreeze = found["recommended"]
        looking, rehearsal = (
            statistics.median(each[part] for each in found["took"]) for part in ("looking", "rehearsal")
        )
        everything = sum(row["wall_seconds"] for row in found["runs"])
        lines.append(
            f"| {name}, {found['advice']['images']:,} images | {teacher} `{unfreeze}` | {found['tau']:.2f} | "
            f"{found['regret']:.1f} | {found['cost']:.2f} | {looking:.0f}, {rehearsal:.0f}; {everything:.0f} | "
            f"{found['seconds_ratio']:.2f} |"
        )
    tau, regret, cost = (
        statistics.mean(found[score] for found in sets.values()) for score in ("tau", "regret", "cost")
    )
    return "\n".join([*lines, f"| mean | | {tau:.2f} | {regret:.1f} | {cost:.2f} | | |"]) + "\n"


def small_page(text: str, document: dict) -> str:
    """Returns the text of a page with what the benchmark of distillation and shrinking found between its two marks."""
    machine, tables = document["machine"], [_distilled_table(document["runs"]), _shrunk_table(document["shrunk"])]
    return _between_marks(
        text, "\n".join([*tables, f"{machine['cores']} x {machine['processor']}, busy with other work.\n"])
    )


def _distilled_table(runs: dict[str, dict]) -> str:
    """Returns a row for each set: mean accuracies over the seeds, and how much of the gap to the teacher run is closed."""
    from benchmarks.distillation import VARIANTS

    names = ("teacher run", *VARIANTS)
    lines = [
        f"| set | labelled images | seeds | test images | {' | '.join(names)} | gap closed | with unlabelled |",
        "|---" * (len(names) + 6) + "|",
    ]
    for name, labelled in sorted({(run["set"], run["labelled"]) for run in runs.values()}):
        of_set = [run for run in runs.values() if (run["set"], run["labelled"]) == (name, labelled)]
        known = [each for each in names if all(each in run for run in of_set)]
        mean = {each: statistics.mean(run[each] for run in of_set) for each in known}
        gap = mean["teacher run"] - mean["alone"]
        closed = [
            f"{(mean[each] - mean['alone']) / gap:.0%}" if gap > 0 and each in mean else ""
            for each in VARIANTS
            if "distilled" in each
        ]
        images = of_set[0]["images"]
        cells = [name, images["train"] + images["validation"], len(of_set), f"{images['test']:,}"]
        cells += [*(f"{mean[each]:.3f}" if each in mean else "not run" for each in names), *closed]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def _shrunk_table(shrunk: dict[str, dict]) -> str:
    """Returns a row for each format of each run."""
    lines = [
        "| run | format | MB | part of float32 | ms an image | test accuracy | lost, points | answers changed |",
        "|---" * 8 + "|",
    ]
    for name, found in shrunk.items():
        whole = next((row["megabytes"] for row in found["rows"] if row["format"] == "litert"), None)
        for row in found["rows"]:
            cells = [name, row["format"], f"{row['megabytes']:.2f}", f"{row['megabytes'] / whole:.2f}" if whole else ""]
            cells += [f"{row['milliseconds']:.1f}", f"{row['score']:.3f}", f"{100 * row['loss']:.1f}"]
            cells.append(f"{row['changed']} of {found['images']:,}")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _between_marks(text: str, measured: str) -> str:
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{measured}\n{_END}{after}"


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
    advice = json.loads(ADVICE.read_text(encoding="utf-8"))
    ADVICE_PAGE.write_text(advice_page(ADVICE_PAGE.read_text(encoding="utf-8"), advice), encoding="utf-8")
    small = json.loads(SMALL.read_text(encoding="utf-8"))
    SMALL_PAGE.write_text(small_page(SMALL_PAGE.read_text(encoding="utf-8"), small), encoding="utf-8")
