"""Finds newer versions of a model while an older one is served."""

from __future__ import annotations

import asyncio
import os
import pathlib
from collections.abc import Callable, Sequence

from tl_keras.console import first_line, say
from tl_keras.data.stamps import revision_of_files
from tl_keras.errors import TransferError
from tl_keras.serving.export import versions
from tl_keras.serving.served_model import ServedModel


class NewerVersions:
    """Looks for newer versions of a model, of which one may still be copied, damaged, or mended later.

    Args:
      folder: Directory of version directories, as `export_run` writes.
      beside: Directories of other files that loading a version may read, such as the exports for another runtime.
      ready: Function that loads a version and has it answer once, in a thread of its own.
    """

    def __init__(
        self, folder: pathlib.Path, *, beside: Sequence[pathlib.Path] = (), ready: Callable[[pathlib.Path], ServedModel]
    ):
        self._folder, self._beside, self._ready = folder, tuple(beside), ready
        self._seen: dict[pathlib.Path, str] = {}
        self._refused: dict[pathlib.Path, str] = {}

    async def look(self, served: int) -> ServedModel | None:
        """Returns the newest version that is ready to answer, or None; says once why another is refused.

        Args:
          served: Number of the version that answers now.
        """
        newer = [each for each in versions(self._folder) if int(each.name) > served]
        before, self._seen = self._seen, {each: self._revision(each) for each in newer}
        for version in newer:
            # One that is still being copied changes between two looks, and one that was refused may be mended.
            if before.get(version) != self._seen[version] or self._refused.get(version) == self._seen[version]:
                continue
            try:
                return await asyncio.to_thread(self._ready, version)
            except Exception as error:  # what a damaged file makes of a runtime is of any type
                reason = str(error) if isinstance(error, TransferError) else first_line(error)
                say(f"version {version.name} is not served, and version {served} answers on: {reason}")
                self._refused[version] = self._seen[version]
        return None

    def _revision(self, version: pathlib.Path) -> str:
        # Unlike `Path.rglob`, `os.walk` passes over a directory that vanishes while it is listed.
        walks = (os.walk(folder) for folder in (version, *self._beside))
        files = (pathlib.Path(folder, name) for walk in walks for folder, _, names in walk for name in names)
        return revision_of_files(sorted(files))
