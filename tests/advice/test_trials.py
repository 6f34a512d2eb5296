"""Tests of tl_keras.advice.trials: recipes of fine-tuning, each judged on images that its models have not seen."""

import numpy as np
import pytest

from tl_keras.advice.teacher_scores import draw_sample
from tl_keras.advice.trials import Recipe, measure_recipes, race, recipes_for, those_that_differ
from tl_keras.config import TransferConfig, resolve
from tl_keras.config.options import set_value
from tl_keras.probes.probe import Probe
from tl_keras.training.model_cache import ModelCache


@pytest.fixture
def trial(small_teacher, tmp_path):
    """Returns a config and the sample of 60 bright and dark images."""
    random = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = (random.integers(0, 100, (60, 16, 16, 3)) + 150 * labels[:, None, None, None]).astype(np.uint8)
    np.savez(tmp_path / "images.npz", x_train=images, y_train=labels)
    config = TransferConfig(export="none")
    config.data.source, config.cache.folder = f"npz:{tmp_path}/images.npz", str(tmp_path / "cache")
    config.model.backbone = str(small_teacher)
    config.training.epochs, config.training.head_epochs = 1, 8
    config.data.augmentation = "none"
    config = resolve(config)
    return config, draw_sample(config, ModelCache())


SLOW, ALONE = Recipe("a small rate", {"training.learning_rate": 1e-4}), Recipe("a head", {"model.unfreeze": "none"})


@pytest.mark.long
def test_the_best_rival_is_asked_about_every_training_image_and_the_others_about_half(trial):
    config, sample = trial
    config.training.learning_rate = 1e-4
    recipes = (Recipe("as it is", {}), SLOW, Recipe("a rate", {"training.learning_rate": 1e-2}), ALONE)
    usual, slow, best, alone = measure_recipes(config, sample, recipes)
    for measured in (usual, best):
        assert sorted(measured.probe.labels) == sorted(sample.labels)
        assert np.allclose(measured.probe.probabilities.sum(axis=1), 1)
    assert len(slow.probe.labels) == len(alone.probe.labels) < 0.6 * len(sample.indices)
    assert usual.probe.accuracy < best.probe.accuracy > 0.7


RACES = {
    "the second rival is ahead": ([5, 4, 7], [10, 5, 10]),
    "no rival is ahead": ([5, 4, 5], [5, 5, 5]),
    "two are equally far ahead": ([5, 6, 6], [10, 10, 5]),
}


@pytest.mark.parametrize(("right", "asked"), RACES.values(), ids=RACES)
def test_the_best_rival_alone_is_asked_about_the_other_half(right, asked):
    recipes = [Recipe(str(position), {}) for position in range(len(right))]

    def ask(recipe, half):
        return Probe(np.eye(2)[(np.arange(5) >= right[int(recipe.name)] - 2).astype(int)], np.zeros(5, int))

    assert [len(each.probe.labels) for each in race(recipes, ask)] == asked


def test_a_head_alone_trains_as_long_as_a_head_does(trial):
    config, _ = trial
    changed = ALONE.applied_to(config)
    assert (changed.model.method, changed.training.epochs) == ("feature_extraction", 8)
    assert (config.model.method, config.training.epochs) == ("fine_tune", 1)


OF_RATE, OF_VIEWS = "three times the rate", "no augmentation"
OF_MAP = "the last map"
OF_CUT = ["70% of the layers", "40% of the layers"]
CHOSEN = {
    "nothing": ({}, [OF_RATE, OF_VIEWS, *OF_CUT, "the head alone", OF_MAP]),
    "the rate": ({"training.fine_tune_learning_rate_factor": 0.02}, [OF_VIEWS, *OF_CUT, "the head alone", OF_MAP]),
    "the augmentation": ({"data.augmentation": "strong"}, [OF_RATE, *OF_CUT, OF_MAP]),
    "the cut": ({"model.unfreeze": "blocks:2"}, [OF_RATE, OF_VIEWS, OF_MAP]),
    "the map": ({"model.output_stride": 8}, [OF_RATE, OF_VIEWS, *OF_CUT, "the head alone"]),
    "the pooling": ({"model.pooling": "max"}, [OF_RATE, OF_VIEWS, *OF_CUT, "the head alone"]),
}


@pytest.mark.parametrize(("chosen", "open_to_trial"), CHOSEN.values(), ids=CHOSEN)
def test_what_the_user_has_chosen_is_not_tried(chosen, open_to_trial):
    config = TransferConfig()
    for name, value in chosen.items():
        set_value(config, name, value)
    assert [recipe.name for recipe in recipes_for(config)] == ["the usual recipe", *open_to_trial]


def test_each_recipe_says_what_it_decides():
    assert [recipe.decides for recipe in recipes_for(TransferConfig())] == [
        "",
        "the rate of the teacher's layers",
        "the augmentation",
        *["the cut"] * 2,
        "the cut, the augmentation",
        "the map",
    ]


@pytest.mark.parametrize(
    ("task", "tried"),
    [
        ("single_label", [OF_RATE, OF_VIEWS, *OF_CUT, "the head alone"]),
        (
            "regression",
            [OF_VIEWS, "40% of the layers", "the head alone"],
        ),  # whose usual rate and cut are two of the others
    ],
)
def test_the_usual_recipe_is_not_tried_under_another_name(task, tried):
    config = TransferConfig(task=task)
    config.data.source, config.model.method, config.model.pooling = "photos", "fine_tune", "average"
    config = resolve(config)
    config.training.epochs = config.training.head_epochs = 2
    found = those_that_differ(recipes_for(TransferConfig(task=task)), config)
    assert [recipe.name for recipe in found] == ["the usual recipe", *tried]


def test_the_last_map_is_tried_with_its_own_pooling_where_largest_values_were_chosen():
    config = TransferConfig(task="multi_label")
    config.data.source = "csv:photos.csv"
    config.model.method, config.model.output_stride, config.model.pooling = "fine_tune", 8, "max"
    (last,) = [recipe for recipe in recipes_for(TransferConfig(task="multi_label")) if recipe.name == OF_MAP]
    model = last.applied_to(resolve(config)).model
    assert (model.output_stride, model.pooling) == (0, "average")
