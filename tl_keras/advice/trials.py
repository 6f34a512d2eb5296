"""Finds out how a teacher is fine-tuned best, by trials on the training images: runs of a few recipes, judged out of fold."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import softmax

from tl_keras.advice.alternatives import Alternative
from tl_keras.advice.teacher_scores import Sample
from tl_keras.advice.transferability import Probe, draw
from tl_keras.config import TransferConfig, from_json, to_json
from tl_keras.config.options import set_value, value_of
from tl_keras.experiments.folds import fold_of_each, train_folds
from tl_keras.training.model_cache import ModelCache

# Each trial trains on one half of the images and is judged on the other.
_FOLDS = 2

# More images than these decide as clearly, and a trial takes no longer than a run on so many.
_MOST_IMAGES = 400


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A way to fine-tune.

    Attributes:
      name: Name in a sentence.
      changes: Options that differ from the defaults, by their names in the config.
    """

    name: str
    changes: dict[str, Any]

    def applied_to(self, config: TransferConfig) -> TransferConfig:
        """Returns a copy of a config with the changes."""
        changed = from_json(to_json(config))
        for name, value in self.changes.items():
            set_value(changed, name, value)
        return changed


# The first is taken unless the images clearly speak for another; docs/recipe.md has what each gains and loses.
_RECIPES = (
    Recipe("the usual recipe", {}),
    Recipe("three times the rate", {"training.fine_tune_learning_rate_factor": 0.1}),
    Recipe("no augmentation", {"data.augmentation": "none"}),
)


def recipes_for(config: TransferConfig) -> tuple[Recipe, ...]:
    """Returns the recipes that change nothing which a user's config has chosen, the usual one first."""
    usual = TransferConfig()
    return tuple(
        recipe for recipe in _RECIPES if all(value_of(config, name) == value_of(usual, name) for name in recipe.changes)
    )


def measure_recipes(config: TransferConfig, sample: Sample, recipes: Sequence[Recipe]) -> tuple[Alternative, ...]:
    """Returns the recipes with the predictions of models that have not seen the image, in the order of the recipes.

    A recipe takes about as long as a run: the epochs are those of the run, over half of the images, twice.

    Args:
      config: Resolved config of a run that fine-tunes.
      sample: The training images, of which about 400 are used at most.
      recipes: Recipes to try, the one to take in doubt first.

    Raises:
      DataError: A class has a single image, or a single group of them.
    """
    drawn = draw(sample.indices, sample.source.labels, images=_MOST_IMAGES, of_each_class=_FOLDS, seed=config.seed)
    splits = dataclasses.replace(sample.splits, train=drawn, test=sample.splits.test[:0])
    images, models, measured = dataclasses.replace(sample.images, splits=splits), ModelCache(), []
    fold = fold_of_each(images, folds=_FOLDS, seed=config.seed)
    for recipe in recipes:
        with (
            tempfile.TemporaryDirectory(prefix="tl_keras_trial_") as folder,
            contextlib.redirect_stderr(io.StringIO()),  # its messages would look like those of the run
        ):
            found = train_folds(recipe.applied_to(config), images, fold, pathlib.Path(folder), models)
        probabilities = softmax(found.logits.astype(np.float64), axis=1)
        measured.append(Alternative(recipe.name, Probe(probabilities, images.source.labels[splits.train])))
    return tuple(measured)
