"""Sets options of a config from keywords of the functions that programs call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tl_keras.config import TransferConfig, check_options, options_of, set_value
from tl_keras.errors import ConfigError, nearest

# Options of images that decide how they are shown in training, and not which there are, beside `augmentation`.
VIEWS = ("min_crop_area", "augmented_views", "horizontal_flip", "quarter_turns", "mixup", "cutmix")


def options_of_views(config: TransferConfig) -> dict[str, Any]:
    """Returns the options of images that decide how they are shown, with their values."""
    return {name: getattr(config.data, name) for name in ("augmentation", *VIEWS)}


def set_options(
    config: TransferConfig,
    values: Mapping[str, Any],
    *,
    parts: Sequence[str],
    others: Sequence[str] = (),
    function: str,
) -> None:
    """Sets options by their own names or those of their flags, and checks the config.

    Args:
      config: Config that is changed.
      values: Values by the name of the option, such as `epochs`, or of its flag, such as `batch_size`.
      parts: Parts of the config whose options are allowed, such as `training`.
      others: Names of allowed options outside the parts.
      function: Name of the function that was called, for the message.

    Raises:
      ConfigError: An option is not allowed, or its value has another type or range.
    """
    known: dict[str, str] = {}
    for option in options_of(TransferConfig):
        part, _, name = option.path.rpartition(".")
        if part in parts or option.path in others:
            known |= {name: option.path, option.name: option.path}
    for name, value in values.items():
        if name not in known:
            raise ConfigError(
                f"{function}: expected an option of docs/options.md that it takes. Received: {name}. {nearest(name, known)}".strip()
            )
        set_value(config, known[name], value)
    check_options(config)
