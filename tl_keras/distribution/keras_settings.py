"""Puts the Keras settings of the user's program aside while networks are built and run, and restores them afterwards."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

_Parameters = ParamSpec("_Parameters")
_Returned = TypeVar("_Returned")


@contextlib.contextmanager
def own_keras_settings() -> Iterator[None]:
    """Sets float32 and channels last without a mixed policy, the settings that networks and weights were made with.

    A global policy, `floatx` or `channels_first`, set in the program or in keras.json, would change every layer that is built
    after it. `--precision` decides what a run computes in.
    """
    import keras

    config = keras.config
    policy, floatx, image_data_format = config.dtype_policy(), config.floatx(), config.image_data_format()
    config.set_floatx("float32")
    config.set_image_data_format("channels_last")
    config.set_dtype_policy("float32")
    try:
        yield
    finally:
        config.set_floatx(floatx)
        config.set_image_data_format(image_data_format)
        config.set_dtype_policy(policy)


def with_own_keras_settings(function: Callable[_Parameters, _Returned]) -> Callable[_Parameters, _Returned]:
    """Decorates a function that users and commands call, so that it runs within `own_keras_settings`."""

    @functools.wraps(function)
    def within(*arguments: _Parameters.args, **keywords: _Parameters.kwargs) -> _Returned:
        with own_keras_settings():
            return function(*arguments, **keywords)

    return within
