"""Holds what a program adds to a run beyond its config: callbacks, and an augmentation of its own."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import uuid
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tl_keras.errors import ConfigError, WorkdirError

Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class OwnParts:
    """Objects of the program that runs, which `config.json` cannot make again; it names them.

    Attributes:
      callbacks: Callbacks that Keras's `fit` calls in each phase. Their `model` is what the phase trains: where frozen layers are
        cached, the layers above them.
      augmentation: Function from an image, float32 (image_size, image_size, 3), RGB, 0 to 255, and a seed, int32 (2,), to an
        image of the same shape, by operations of TensorFlow that the seed decides, such as `tf.image.stateless_random_hue`;
        None for that of the config.
      token: Text by which features of augmented images are told from those of other runs.
    """

    callbacks: tuple[keras.callbacks.Callback, ...] = ()
    augmentation: Augment | None = None
    token: str = ""

    def check(self, augmentation: str) -> None:
        """Raises a ConfigError unless the function is there if, and only if, the config says that it is.

        Args:
          augmentation: Option of that name.
        """
        if wrong := [each for each in self.callbacks if not isinstance(each, keras.callbacks.Callback)]:
            raise ConfigError(
                f"callbacks: expected objects of keras.callbacks.Callback. Received: {type(wrong[0]).__name__}."
            )
        if (self.augmentation is not None) != (augmentation == "own"):
            received = "own without one" if augmentation == "own" else f"a function beside augmentation={augmentation}"
            raise ConfigError(
                f"augmentation: expected own together with a function of the program. Received: {received}. Give "
                "tl_keras.fine_tune(augmentation=function), or use light."
            )
        if self.augmentation is not None:
            _require_image_and_seed(self.augmentation)

    def begun(self, record: dict[str, Any] | None) -> OwnParts:
        """Returns the parts with the token of the run that has begun, or a new one.

        Args:
          record: Entry `own_parts` of `config.json`, or None.

        Raises:
          WorkdirError: That run has another augmentation.
        """
        if self.augmentation is None:
            return self
        known = (record or {}).get("augmentation")
        if known and known["sha256"] != _hash_of(self.augmentation):
            raise WorkdirError(
                f"workdir: expected the augmentation that the run began with, {known['name']}. Received: "
                f"{_name_of(self.augmentation)}, "
                "whose source is another. Use another --workdir, or bring the function back to continue."
            )
        return dataclasses.replace(self, token=known["token"] if known else uuid.uuid4().hex)

    def to_json(self) -> dict[str, Any] | None:
        """Returns the entry `own_parts` of `config.json` and `result.json`, or None if there are no such parts."""
        record: dict[str, Any] = {}
        if self.callbacks:
            record["callbacks"] = [_name_of(type(callback)) for callback in self.callbacks]
        if self.augmentation is not None:
            name, sha256 = _name_of(self.augmentation), _hash_of(self.augmentation)
            record["augmentation"] = {"name": name, "sha256": sha256, "token": self.token}
        return record or None


NO_PARTS = OwnParts()


def _require_image_and_seed(function: Callable[..., Any]) -> None:
    try:
        inspect.signature(function).bind(None, None)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"augmentation: expected a function of an image and a seed. Received: {_name_of(function)} ({error}). Write "
            "def change(image, seed): return tf.image.stateless_random_hue(image / 255, 0.1, seed) * 255."
        ) from error


def _name_of(thing: Any) -> str:
    return f"{getattr(thing, '__module__', '?')}.{getattr(thing, '__qualname__', type(thing).__name__)}"


def _hash_of(function: Callable[..., Any]) -> str:
    """Returns the hash of a function's source, or of its name where Python cannot find the source."""
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        text = _name_of(function)
    return hashlib.sha256(text.encode()).hexdigest()
