"""Relates methods and cuts: training nothing of the teacher is feature_extraction."""

from __future__ import annotations

from tl_keras.config.choices import Method
from tl_keras.config.defaults import FIXED_CUTS
from tl_keras.config.model_fields import ModelConfig


def method_of_cut(unfreeze: str) -> Method:
    """Returns the method that trains a pre-trained backbone from this cut on: feature_extraction or fine_tune."""
    return "feature_extraction" if unfreeze == FIXED_CUTS["feature_extraction"] else "fine_tune"


def choose_cut(model: ModelConfig, unfreeze: str) -> None:
    """Sets the cut of a config, and the method that the cut implies."""
    model.method = method_of_cut(unfreeze)
    model.unfreeze = "" if model.method in FIXED_CUTS else unfreeze
