"""Writes the list of messages in docs/troubleshooting.md from the code, so that none is forgotten.

    python tools/list_errors.py           writes it
    python tools/list_errors.py --check   exit status 1 where it is not current

What the program fills in stands as an ellipsis.
"""

from __future__ import annotations

import ast
import inspect
import pathlib
import re
import sys
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tl_keras import errors  # noqa: E402

PAGE = ROOT / "docs" / "troubleshooting.md"
HEADING = "## Every message\n"
KINDS = {
    name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.TransferError)
}


def messages(path: pathlib.Path) -> Iterator[tuple[str, str]]:
    """Yields the kind, a name in `tl_keras.errors`, and the message of every error that a file makes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kind_of = {name: name for name in KINDS}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ClassDef)
            and node.name not in KINDS
            and node.bases
            and ast.unparse(node.bases[0]) in KINDS
        ):
            kind_of[node.name] = ast.unparse(node.bases[0])
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kind_of and node.args:
            for message in alternatives(node.args[0], tree):
                yield kind_of[node.func.id], as_text(message)


def alternatives(message: ast.expr, tree: ast.Module) -> list[ast.expr]:
    """Returns what a message may be: itself, or whatever the function of the same file returns that makes it."""
    if isinstance(message, ast.Call) and isinstance(message.func, ast.Name):
        makers = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == message.func.id]
        returned = [node.value for maker in makers for node in ast.walk(maker) if isinstance(node, ast.Return)]
        return [value for value in returned if value is not None]
    return [message]


def as_text(message: ast.expr) -> str:
    """Returns a message with an ellipsis for each part that is known only when it is printed."""
    if isinstance(message, ast.Call) and isinstance(message.func, ast.Attribute):  # "...".strip()
        return as_text(message.func.value)
    if isinstance(message, ast.Constant):
        return str(message.value)
    if isinstance(message, ast.JoinedStr):
        return re.sub("…+", "…", "".join(as_text(part) for part in message.values))
    return "…"


def _meaning(kind: str) -> str:
    """Returns what a class of errors says of itself, without its example."""
    return (inspect.getdoc(KINDS[kind]) or "").partition("\n\nExample:")[0]


def listed() -> str:
    """Returns the section: for each kind its meaning, its exit status and its messages, sorted."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tl_keras").rglob("*.py")):
        for kind, message in messages(path):
            ticks = "``" if "`" in message else "`"
            found.setdefault(kind, set()).add(f"- {ticks}{message.strip()}{ticks}")
    sections = [
        f"\n### {kind}\n\n{_meaning(kind)} Exit status {KINDS[kind].exit_status}.\n\n"
        + "\n".join(sorted(found[kind], key=str.lower))
        + "\n"
        for kind in sorted(found)
    ]
    return f"{HEADING}\nWritten by `python tools/list_errors.py`; … stands for what the program fills in.\n" + "".join(
        sections
    )


if __name__ == "__main__":
    current = PAGE.read_text(encoding="utf-8")
    written = current.partition(HEADING)[0] + listed()
    if sys.argv[1:] == ["--check"]:
        sys.exit(current != written)
    PAGE.write_text(written, encoding="utf-8")
