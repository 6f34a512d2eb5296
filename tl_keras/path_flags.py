"""Defines flags that name files and folders; nothing here imports TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from absl import flags

from tl_keras.user_folders import expanded

flags.disclaim_key_flags()  # they are listed by --help of the command that calls `define`


class PathParser(flags.ArgumentParser):  # type: ignore[type-arg]  # absl's class takes none when a program runs
    """Parser of a path, in which `~` becomes the home: no shell replaces the one in `--workdir=~/run1`."""

    def parse(self, argument: Any) -> Any:
        """Returns the path; all but the home stays as it is."""
        return str(expanded(argument)) if str(argument).startswith("~") else argument


def define(name: str, default: str | None, text: str) -> flags.FlagHolder[str]:
    """Defines the flag of a path.

    Args:
      name: Name of the flag.
      default: Its default.
      text: Description of the flag in --help.
    """
    return flags.DEFINE(PathParser(), name, default, text, serializer=flags.ArgumentSerializer())


def define_several(name: str, default: Sequence[str], text: str) -> flags.FlagHolder[list[str]]:
    """Defines the flag of a path that may be given again; see `define`."""
    return flags.DEFINE_multi(PathParser(), flags.ArgumentSerializer(), name, default, text)
