"""Fills in what the user leaves open and the method decides: rate, length, augmentation and cut."""

from __future__ import annotations

from tl_keras.config.checks import validate
from tl_keras.config.choices import Method, label_kind_of
from tl_keras.config.defaults import (
    CAUTIOUS_CUT,
    CAUTIOUS_FINE_TUNE_FACTOR,
    DEFAULT_AUGMENTATIONS,
    DEFAULT_CUT,
    DEFAULT_FINE_TUNE_FACTOR,
    DEFAULT_LEARNING_RATES,
    DEFAULT_RESIZE,
    FEWEST_STEPS,
    FIXED_CUTS,
    MIN_CROP_AREAS,
    NUMBERS_FINE_TUNE_FACTOR,
    NUMBERS_LEARNING_RATE,
    PATIENCE_WITH_TEACHER_RUN,
)
from tl_keras.config.fields import TransferConfig
from tl_keras.config.parsing import parse_optimizer, parse_schedule, rate_of_optimizer
from tl_keras.config.serialization import from_json, to_json

_LAST_PHASES: dict[Method, str] = {
    "replicate": "all layers",
    "feature_extraction": "head",
    "fine_tune": "fine-tuning",
}


def resolve(config: TransferConfig) -> TransferConfig:
    """Returns a validated copy in which what the method decides is filled in.

    Args:
      config: The user's config.

    Returns:
      A new config, with `learning_rate`, `augmentation`, `min_crop_area`, `resize`, `refit` and `unfreeze` set. `image_size` and
      `alpha` may still be 0: the weights decide them (`tl_keras.builder.choose_backbone`), and the training loop fills them in.
      `pooling` may stay empty: the images decide it.
      `epochs` and `head_epochs` may stay 0 (`with_epochs`), `strategy` and `precision` auto (`Hardware.chosen`).

    Raises:
      TransferError: An option is out of its range, or two options contradict each other.
    """
    validate(config)
    resolved = from_json(to_json(config))
    model, training = resolved.model, resolved.training
    if training.optimizer:
        training.learning_rate = rate_of_optimizer(parse_optimizer(training.optimizer))
    left_open = not training.learning_rate and not training.find_learning_rate
    numbers, factor = label_kind_of(config.task) == "numbers", DEFAULT_FINE_TUNE_FACTOR
    if numbers and left_open and model.method != "replicate":
        training.learning_rate, factor = NUMBERS_LEARNING_RATE, NUMBERS_FINE_TUNE_FACTOR
    elif numbers:
        factor = CAUTIOUS_FINE_TUNE_FACTOR
    training.learning_rate = training.learning_rate or DEFAULT_LEARNING_RATES[model.method]
    training.fine_tune_learning_rate_factor = training.fine_tune_learning_rate_factor or factor
    data = resolved.data
    data.augmentation = data.augmentation or DEFAULT_AUGMENTATIONS[model.method]
    data.min_crop_area = data.min_crop_area or _min_crop_area(resolved)
    if data.augmentation in ("none", "own") and data.horizontal_flip == "auto":
        data.horizontal_flip = "off"
    if (data.augmentation in ("none", "own") or model.method == "replicate") and data.quarter_turns == "auto":
        data.quarter_turns = "off"  # a trained network judges whether images may be turned
    model.resize = model.resize or DEFAULT_RESIZE
    model.pooling = model.pooling or ("" if _leaves_map_open(resolved) else "average")
    training.refit = training.refit or ("off" if training.epochs or model.method == "replicate" else "auto")
    if model.method == "fine_tune":
        last_stage = parse_schedule(model.unfreeze_schedule, training.epochs)[-1][0] if model.unfreeze_schedule else ""
        model.unfreeze = last_stage or model.unfreeze or (CAUTIOUS_CUT if numbers else DEFAULT_CUT)
    else:
        model.unfreeze = FIXED_CUTS[model.method]
        training.head_epochs = 0
    return resolved


def _leaves_map_open(config: TransferConfig) -> bool:
    """Returns whether the images decide map and pooling: where labels are of parts, or count them, and nothing chosen needs one.

    Blocks and layers of a cut, and earlier weights, are those of a certain map.
    """
    model, of_parts = config.model, label_kind_of(config.task) in ("labels", "numbers")
    cut = model.unfreeze_schedule or model.unfreeze not in ("", *FIXED_CUTS.values(), DEFAULT_CUT, CAUTIOUS_CUT)
    return of_parts and not (model.output_stride or model.pooling or model.start_from or cut)


def _min_crop_area(config: TransferConfig) -> float:
    """Returns the smallest part of an image that is shown: all of it where labels are of the whole, or what counts is small."""
    of_the_whole = label_kind_of(config.task) in ("labels", "numbers") or config.model.pooling == "max"
    usual = MIN_CROP_AREAS.get(config.data.augmentation, 0.0)  # 0 where nothing is cropped
    return 1.0 if of_the_whole and usual else usual


def with_epochs(config: TransferConfig, *, images: int) -> TransferConfig:
    """Returns a copy in which the epochs that were left open are filled in, by the number of training images.

    Args:
      config: A resolved config.
      images: Their number.
    """
    filled = from_json(to_json(config))
    training, method = filled.training, filled.model.method

    def by_number(phase: str, patience: int = 1) -> int:
        steps = FEWEST_STEPS[phase]
        return patience * epochs_for(images, global_batch_size=training.global_batch_size, steps=steps)

    patience = PATIENCE_WITH_TEACHER_RUN if filled.distillation.teacher_run else 1
    training.epochs = training.epochs or by_number(_LAST_PHASES[method], patience)
    if method == "fine_tune":
        training.head_epochs = training.head_epochs or by_number("head")
    return filled


def epochs_for(images: int, *, global_batch_size: int, steps: int, fewest: int = 10) -> int:
    """Returns the epochs that make at least `steps` steps, and at least `fewest`, where the user leaves them open.

    Args:
      images: Number of training images.
      global_batch_size: Images per step.
      steps: The fewest steps.
      fewest: The fewest epochs.
    """
    return max(fewest, -(-steps // -(-images // global_batch_size)))
