"""Reads addresses on the Hugging Face Hub and fetches teachers from there, through its own package; imports no TensorFlow.

A teacher is the `.keras` file of a repository: one that `--push` of an earlier run put there, or any other with its
`.preprocess.json` beside it. The package keeps it in its cache (`HF_HOME`), which answers when there is no network.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import pathlib
import re

from tl_keras.console import first_line
from tl_keras.errors import BackboneError, ConfigError, DependencyError

PREFIX = "hf://"

_PATTERNS = ["*.keras", "*.preprocess.json"]
_PREFERRED = "model.keras"  # as a run names it
_COMMIT = re.compile(r"[0-9a-f]{40}")


def parse_repository(address: str, *, option: str) -> tuple[str, str]:
    """Returns the name of a repository, `USER/NAME`, and its revision, from its address.

    Args:
      address: Address such as `hf://user/name` or `hf://user/name@revision`; the revision is empty if it names none.
      option: Name of the option that it is the value of.

    Raises:
      ConfigError: It is another.
      DependencyError: `huggingface_hub` is not installed.
    """
    name, at, revision = address.removeprefix(PREFIX).partition("@")
    if not address.startswith(PREFIX) or name.count("/") != 1 or not all(name.split("/")) or bool(at) != bool(revision):
        raise ConfigError(
            f"{option}: expected hf://USER/NAME. Received: {address}. Use the name of a repository on the Hub."
        )
    if importlib.util.find_spec("huggingface_hub") is None:
        raise DependencyError(
            f"{option}: expected the package huggingface_hub. Received: not installed. Run: pip install huggingface_hub"
        )
    return name, revision


@functools.cache
def fetch_teacher(address: str) -> pathlib.Path:
    """Returns the path of a repository's `.keras` file, after downloading it unless the Hub's cache has it.

    The parent folder's name is the commit. A revision that is a commit is not asked for again once it is in the cache.

    Args:
      address: Address such as `hf://user/name` or `hf://user/name@revision`.

    Raises:
      BackboneError: The Hub has no such repository, or it holds no `.keras` file or several.
      ConfigError: It is no such address.
      DependencyError: `huggingface_hub` is not installed.
    """
    name, revision = parse_repository(address, option="backbone")
    folder = _snapshot(name, revision)
    found = sorted(path.name for path in folder.glob("*.keras"))
    if _PREFERRED in found:
        return folder / _PREFERRED
    if len(found) != 1:
        raise BackboneError(
            f"backbone: expected {address} to hold {_PREFERRED}, or one other .keras file. Received: {', '.join(found) or 'none'}. "
            "Name a repository that --push made, or download its file and name that."
        )
    return folder / found[0]


def repository_of(backbone: str) -> str:
    """Returns the repository that a teacher comes from, `USER/NAME`; an empty text for any other backbone."""
    return backbone.removeprefix(PREFIX).partition("@")[0] if backbone.startswith(PREFIX) else ""


def pinned(backbone: str) -> str:
    """Returns the address of a teacher with its commit, so that it stays the same; any other backbone as it is."""
    if not backbone.startswith(PREFIX):
        return backbone
    return f"{PREFIX}{repository_of(backbone)}@{fetch_teacher(backbone).parent.name}"


def as_pinned(backbone: str, begun: str) -> str:
    """Returns a backbone, with the commit that a run has begun with if both are the same repository."""
    return begun if begun.startswith(PREFIX) and backbone == begun.partition("@")[0] else backbone


def _snapshot(name: str, revision: str) -> pathlib.Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    def download(*, local_files_only: bool) -> pathlib.Path:
        found = snapshot_download(
            name, revision=revision or None, allow_patterns=_PATTERNS, local_files_only=local_files_only
        )
        return pathlib.Path(found)

    if _COMMIT.fullmatch(revision):
        with contextlib.suppress(LocalEntryNotFoundError):
            kept = download(local_files_only=True)
            if any(kept.glob("*.keras")):  # not where a download broke off
                return kept
    try:
        return download(local_files_only=False)
    except Exception as error:  # of the network, of rights, of the Hub: each has its own type
        raise BackboneError(
            f"backbone: expected the repository {name} on the Hub. Received: {first_line(error)}. Check the name and the network, "
            "and log in with hf auth login if it is private."
        ) from error
