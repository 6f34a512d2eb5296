"""Finds out how a teacher is fine-tuned best, by trials on the training images: a few recipes, judged out of fold.

The recipes race: each is trained on one half of the images and asked about the other, and only the best of those that are ahead
of the usual one is tried on the other half too. What recipes have in common is computed once: decoded images, features of frozen
layers, heads, traced steps.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import softmax

from tl_keras.advice.teacher_scores import Sample
from tl_keras.config import TransferConfig, choose_cut, from_json, resolve, to_json
from tl_keras.config.model_fields import OF_THE_FEATURES
from tl_keras.config.options import set_value, value_of
from tl_keras.data.decoded import held_decoded
from tl_keras.data.pipeline import evaluation_order
from tl_keras.experiments.folds import fold_of_each
from tl_keras.probes.alternatives import Alternative
from tl_keras.probes.probe import Probe
from tl_keras.probes.task_probe import TaskProbe
from tl_keras.probes.transferability import draw
from tl_keras.runs.records import Progress
from tl_keras.training.checkpoints import values_of
from tl_keras.training.decided_by_images import decided_alike
from tl_keras.training.inputs import PhaseInputs, open_inputs
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.phase_runner import train_unwatched
from tl_keras.training.preparation import PreparedRun, RunImages, distributor_of, prepare

# More images than these decide as clearly, and a trial takes no longer than a run on so many.
_MOST_IMAGES = 400

# Part of a run's epochs of fine-tuning that a trial trains, on half of the images.
_PART_OF_EPOCHS = 0.75

# Time of all trials together, in times of a run, if a recipe is tried on both halves: on each the usual one and one that trains all
# layers too, on one of them two others like it, 70% (half the time of a step) and 40% (a quarter) of the layers.
TIME_IN_RUNS = _PART_OF_EPOCHS * (4 + 1 + 0.5 + 0.25) / 2


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A way to fine-tune.

    Attributes:
      name: Name in a sentence.
      changes: Options that differ from the defaults, by their names in the config.
    """

    name: str
    changes: dict[str, Any]

    @property
    def decides(self) -> str:
        """Returns what it decides, in words."""
        return ", ".join(dict.fromkeys(_IN_WORDS[name] for name in self.changes))

    def applied_to(self, config: TransferConfig) -> TransferConfig:
        """Returns a copy of a resolved config with the changes, and with what follows from them."""
        changed = from_json(to_json(config))
        for name, value in self.changes.items():
            set_value(changed, name, value)
        choose_cut(changed.model, changed.model.unfreeze)
        if changed.model.method != config.model.method:
            changed.training.epochs = changed.training.head_epochs
        return resolve(changed)


_IN_WORDS = {
    "training.fine_tune_learning_rate_factor": "the rate of the teacher's layers",
    "data.augmentation": "the augmentation",
    "model.unfreeze": "the cut",
    "model.output_stride": "the map",
    "model.pooling": "the map",
}

# The first is taken unless the images clearly speak for another; docs/recipe.md has what each gains and loses.
_RECIPES = (
    Recipe("the usual recipe", {}),
    Recipe("three times the rate", {"training.fine_tune_learning_rate_factor": 0.1}),
    Recipe("no augmentation", {"data.augmentation": "none"}),
    Recipe("70% of the layers", {"model.unfreeze": "fraction:0.7"}),
    Recipe("40% of the layers", {"model.unfreeze": "fraction:0.4"}),
    Recipe("the head alone", {"model.unfreeze": "none", "data.augmentation": "none"}),
    # Where frozen features chose another map: layers that train may make more of this one.
    Recipe("the last map", {"model.output_stride": 0, "model.pooling": "average"}),
)


def recipes_for(config: TransferConfig) -> tuple[Recipe, ...]:
    """Returns the recipes that change nothing which a user's config has chosen, the usual one first."""
    usual = TransferConfig()
    return tuple(
        recipe for recipe in _RECIPES if all(value_of(config, name) == value_of(usual, name) for name in recipe.changes)
    )


def those_that_differ(recipes: Sequence[Recipe], config: TransferConfig) -> tuple[Recipe, ...]:
    """Returns the first of some recipes, and those that make another run of a resolved config than the first does."""
    usual, *others = recipes
    made = usual.applied_to(config)
    return usual, *(recipe for recipe in others if recipe.applied_to(config) != made)


def measure_recipes(
    config: TransferConfig, sample: Sample, recipes: Sequence[Recipe], *, models: ModelCache | None = None
) -> tuple[Alternative, ...]:
    """Returns the recipes with the predictions of models that have not seen the image, in the order of the recipes.

    Args:
      config: Resolved config of a run that fine-tunes, with its epochs.
      sample: The training images, of which about 400 are used at most.
      recipes: Recipes to try, the one to take in doubt first.
      models: Cache to pass to the run as well, so that a step is traced once. None means a new one.

    Raises:
      DataError: A class has a single image, or a single group of them.
    """
    with contextlib.redirect_stderr(io.StringIO()):  # its messages would look like those of the run
        return race(recipes, _Halves(config, sample, models or ModelCache()).ask)


def race(recipes: Sequence[Recipe], ask: Callable[[Recipe, int], Any]) -> tuple[Alternative, ...]:
    """Asks every recipe about the first half, and the first and its best rival about the second, if the rival is ahead.

    Args:
      recipes: Recipes, the one to take in doubt first.
      ask: Function from a recipe and the number of a half, 0 or 1, to its predictions of that half.

    Returns:
      The recipes with their predictions, of one half or both.
    """
    measured = [Alternative(recipe.name, ask(recipe, 0)) for recipe in recipes]
    best = int(np.argmax([each.probe.score for each in measured]))  # of equals the first
    for position in (0, best) if best else ():
        both = measured[position].probe.with_more(ask(recipes[position], 1))
        measured[position] = dataclasses.replace(measured[position], probe=both)
    return tuple(measured)


class _Halves:
    """Two halves of the training images: models are trained on one and asked about the other.

    Args:
      config: Resolved config of the run, with its epochs.
      sample: The training images.
      models: Cache of networks and traced steps.
    """

    def __init__(self, config: TransferConfig, sample: Sample, models: ModelCache):
        drawn = draw(sample.indices, sample.strata, images=_MOST_IMAGES, of_each_class=2, seed=config.seed)
        images = _of_training(sample.images, train=drawn, asked=drawn)
        self._sample, self._models, self._distributor = sample, models, distributor_of(config)
        prepared = prepare(config, self._models, images=images, distributor=self._distributor)
        self._config = decided_alike(config, prepared.config)
        source = held_decoded(
            sample.source,
            drawn,
            sample.inspection,
            decode=prepared.student.preprocess.decode,
            limit_gib=config.cache.decoded_gib,
        )
        self._images, self._drawn = dataclasses.replace(images, source=source), drawn
        self._half = fold_of_each(images, folds=2, seed=config.seed)
        self._group = sample.groups[np.searchsorted(sample.indices, drawn)]
        self._heads: dict[tuple[Any, ...], list[np.ndarray]] = {}

    def ask(self, recipe: Recipe, half: int) -> Probe | TaskProbe:
        """Returns the predictions of one half's images, by a model that a recipe has trained on the other half."""
        asked = self._drawn[self._half == half]
        config = recipe.applied_to(self._config)
        if config.model.method == "fine_tune":
            config.training.epochs = max(1, round(_PART_OF_EPOCHS * config.training.epochs))
        images = _of_training(self._images, train=self._drawn[self._half != half], asked=asked)
        prepared = prepare(config, self._models, images=images, distributor=self._distributor)
        inputs = open_inputs(prepared)
        self._train_head(prepared, inputs[0], half)
        for phase, of_phase in zip(prepared.phases[1:], inputs[1:], strict=True):
            train_unwatched(prepared, phase, of_phase, Progress())
        _, logits = inputs[-1].predict_fn()(asked)
        order = evaluation_order(self._images.source, asked)
        labels, groups = self._images.source.labels[order], self._group[np.searchsorted(self._drawn, order)]
        if self._sample.of_classes:
            return Probe(softmax(logits.astype(np.float64), axis=1), labels, groups=groups)
        task = self._sample.task
        return TaskProbe(task, task.converted(logits, prepared.task), labels, groups)

    def _train_head(self, prepared: PreparedRun, inputs: PhaseInputs, half: int) -> None:
        """Trains the head on the frozen teacher, once for all recipes that show the images alike and have the same rate for it."""
        config, plan = prepared.config, prepared.phases[0].plan
        seen = (config.data.augmentation, *(getattr(config.model, name) for name in OF_THE_FEATURES))
        key = (seen, config.training.learning_rate, half)
        variables = self._models.trained_variables(prepared.student, [plan])
        if key not in self._heads:
            train_unwatched(prepared, prepared.phases[0], inputs, Progress())
            self._heads[key] = values_of(variables)
        for variable, value in zip(variables, self._heads[key], strict=True):
            variable.assign(value)


def _of_training(images: RunImages, *, train: np.ndarray, asked: np.ndarray) -> RunImages:
    """Returns images of which some are trained on and some are asked about, and none else is used."""
    splits = dataclasses.replace(images.splits, train=train, validation=asked, test=images.splits.test[:0])
    return dataclasses.replace(images, splits=splits)
