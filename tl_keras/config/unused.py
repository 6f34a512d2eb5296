"""Finds options that the method, the head or the augmentation of a config leaves without effect."""

from __future__ import annotations

from tl_keras.config.defaults import DEFAULT_AUGMENTATIONS
from tl_keras.config.fields import TransferConfig
from tl_keras.config.options import options_of, value_of

# Options of training the layers of a teacher with pre-trained weights, which these methods do not do. A comparison of methods
# passes them to all, so they are no error.
_OF_THE_TEACHER = {
    "feature_extraction": (
        "training.head_epochs",
        "training.layer_decay",
        "training.teacher_decay",
        "model.batch_norm",
    ),
    "replicate": ("training.head_epochs", "training.teacher_decay"),
}
_OF_AUGMENTATION = ("data.min_crop_area", "data.augmented_views", "data.horizontal_flip", "data.quarter_turns")


def unused_options(config: TransferConfig) -> list[str]:
    """Returns a sentence for chosen options that do nothing in a method, in a head, and without augmentation.

    They are no error: a config file may choose what a flag, such as --head, leaves without effect.

    Args:
      config: The user's config, before `resolve`, whose method is decided.
    """
    method = config.model.method
    augmentation = config.data.augmentation or DEFAULT_AUGMENTATIONS[method]
    said = {
        f"no effect in method {method}": _chosen(config, _OF_THE_TEACHER.get(method, ())),
        f"no effect in head {config.model.head}, which has no hidden layer; use --head=mlp": _chosen(
            config, ("model.head_units",) if config.model.head == "linear" else ()
        ),
        "no effect, since images are not augmented; use --augmentation=light": _chosen(config, _OF_AUGMENTATION)
        if augmentation == "none"
        else [],
    }
    return [f"{' and '.join(names)}: {what}" for what, names in said.items() if names]


def _chosen(config: TransferConfig, paths: tuple[str, ...]) -> list[str]:
    """Returns the names of those of some options that are not at their defaults, nor off as `resolve` leaves them."""
    options = {option.path: option for option in options_of(TransferConfig)}
    return [options[path].name for path in paths if value_of(config, path) not in (options[path].default, "off", 0, 1)]
