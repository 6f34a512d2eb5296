"""Makes command-line flags from the descriptions of a config's options; nothing here imports TensorFlow."""

from __future__ import annotations

import pathlib
from collections.abc import Collection
from typing import Any

from absl import flags

from tl_keras.config import ModelConfig, Option, TransferConfig, options_of, set_value, value_of
from tl_keras.errors import BackboneError

flags.disclaim_key_flags()  # they are listed by --help of the command that calls `define`

OPTIONS = {option.path: option for option in options_of(TransferConfig)}
NAMES = tuple(option.description.flag for option in OPTIONS.values() if option.description.flag)

_TEACHER_SUFFIXES = (".keras", ".h5", ".pth")

_PARSERS: dict[Any, flags.ArgumentParser[Any]] = {
    bool: flags.BooleanParser(),
    int: flags.IntegerParser(),
    float: flags.FloatParser(),
}


class OptionParser(flags.ArgumentParser):  # type: ignore[type-arg]  # absl's class takes none when a program runs
    """Parser of a flag's text; a text that is not of the type stays as it is, for `Option.check` to refuse."""

    def __init__(self, of_type: Any, syntactic_help: str = "") -> None:
        self.of_type = of_type
        self.syntactic_help = syntactic_help  # what --help prints in brackets

    def parse(self, argument: Any) -> Any:
        """Returns the value, or the text where it is not of the type."""
        if not isinstance(argument, str) or self.of_type not in _PARSERS:
            return argument
        try:
            return _PARSERS[self.of_type].parse(argument)
        except (TypeError, ValueError):
            return argument

    def flag_type(self) -> str:
        """Returns the name of the type, as absl shows it."""
        return getattr(self.of_type, "__name__", "string")


def define(names: Collection[str] = NAMES) -> None:
    """Defines the flags of these names; each shows the default of its option."""
    for option in OPTIONS.values():
        if option.description.flag in names:
            flags.DEFINE_flag(_flag(option))


def _flag(option: Option) -> flags.Flag[Any]:
    flag: flags.Flag[Any] = flags.Flag(
        OptionParser(option.type, "" if option.type in (bool, str) else option.values),
        flags.ArgumentSerializer(),
        option.description.flag,
        None,
        option.description.text,
        boolean=option.type is bool,
    )
    flag.default_as_str = option.default_as_text  # which stands in the config: a flag that is not given sets nothing
    return flag


def apply(config: TransferConfig) -> None:
    """Sets the options whose flags were given.

    Raises:
      TransferError: An option cannot have the value that is given.
    """
    for option in OPTIONS.values():
        name = option.description.flag
        # A command may have another flag of this name, as --unfreeze of the sweep, which is a list.
        if name in flags.FLAGS and isinstance(flags.FLAGS[name].parser, OptionParser) and flags.FLAGS[name].present:
            set_value(config, option.path, flags.FLAGS[name].value)
            option.check(value_of(config, option.path))


def check_teacher(model: ModelConfig) -> None:
    """Raises a BackboneError if a file of a teacher or of weights is not there, or a teacher's name is unknown."""
    for name, file in (("backbone", model.backbone), ("weights", model.weights)):
        if str(file).endswith(_TEACHER_SUFFIXES) and not pathlib.Path(file).is_file():
            raise BackboneError(f"{name}: expected an existing file. Received: {file}, which does not exist.")
    named = model.backbone.isidentifier() and model.backbone != "auto"
    if named and not pathlib.Path(model.backbone).exists():  # a teacher of texts is a folder
        from tl_keras.backbones.specs import backbone_spec  # the table, which --help does without

        backbone_spec(model.backbone)
