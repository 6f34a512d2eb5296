"""Keras's global settings: what the user's program has set is put aside while we build and run networks, and then put back."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

_Parameters = ParamSpec("_Parameters")
_Returned = TypeVar("_Returned")


@contextlib.contextmanager
def own_keras_settings() -> Iterator[None]:
    """Sets what the networks and their weights were made with: float32, channels last, no policy that mixes types.

    A global policy, `floatx` or `channels_first`, set in the program or in keras.json, would change every layer that is built
    after it. What a run computes in is `--precision`.
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
