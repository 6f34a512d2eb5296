"""Tests of tl_keras.advice.trials: recipes of fine-tuning, each judged on images that its models have not seen."""

import numpy as np
import pytest

from tl_keras.advice.teacher_scores import draw_sample
from tl_keras.advice.trials import Recipe, measure_recipes, recipes_for
from tl_keras.config import TransferConfig, resolve
from tl_keras.config.options import set_value
from tl_keras.training.model_cache import ModelCache


def test_every_training_image_is_judged_and_no_other(small_teacher, tmp_path):
    random = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = (random.integers(0, 100, (60, 16, 16, 3)) + 150 * labels[:, None, None, None]).astype(np.uint8)
    np.savez(tmp_path / "images.npz", x_train=images, y_train=labels)
    config = TransferConfig(export="none")
    config.data.source, config.cache.folder = f"npz:{tmp_path}/images.npz", str(tmp_path / "cache")
    config.model.backbone, config.model.unfreeze = str(small_teacher), "blocks:1"
    config.training.epochs, config.training.head_epochs = 1, 8
    config.data.augmentation = "none"
    sample = draw_sample(resolve(config), ModelCache())
    recipes = (Recipe("as it is", {}), Recipe("a small rate", {"training.learning_rate": 1e-4}))
    usual, slow = measure_recipes(resolve(config), sample, recipes)
    for measured in (usual, slow):
        assert measured.probe.labels.tolist() == labels[sample.indices].tolist()
        assert np.allclose(measured.probe.probabilities.sum(axis=1), 1)
    assert slow.probe.accuracy < usual.probe.accuracy > 0.8  # bright and dark


CHOSEN = {
    "nothing": ({}, ["the usual recipe", "three times the rate", "no augmentation"]),
    "the rate": ({"training.fine_tune_learning_rate_factor": 0.02}, ["the usual recipe", "no augmentation"]),
    "the augmentation": ({"data.augmentation": "strong"}, ["the usual recipe", "three times the rate"]),
}


@pytest.mark.parametrize(("chosen", "open_to_trial"), CHOSEN.values(), ids=CHOSEN)
def test_what_the_user_has_chosen_is_not_tried(chosen, open_to_trial):
    config = TransferConfig()
    for name, value in chosen.items():
        set_value(config, name, value)
    assert [recipe.name for recipe in recipes_for(config)] == open_to_trial
