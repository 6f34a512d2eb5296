"""Downloads a teacher's published weights before the images are read, so that a failure costs seconds."""

from __future__ import annotations

from tl_keras.backbones.specs import BackboneSpec
from tl_keras.backbones.weights import is_at_hand
from tl_keras.builder import TeacherChoice, choose_backbone, load_backbone
from tl_keras.config import ModelConfig


def is_trained_and_at_hand(choice: TeacherChoice) -> bool:
    """Returns whether a teacher has been trained, and its weights are here; `replicate` alone does without them."""
    if not isinstance(choice.spec, BackboneSpec):
        return True
    published = {weights.name: weights for weights in choice.spec.weights}.get(choice.weights)
    if published is None:
        return choice.weights != "none"  # a file
    size = choice.preprocess.image_size
    return not published.files or is_at_hand(published.file_for(alpha=choice.alpha, image_size=size))


def download_missing(model: ModelConfig) -> None:
    """Downloads the weights of a teacher of the table if they are needed and not here; to check them all, the network is built.

    Raises:
      BackboneError: They cannot be downloaded, or the file is not the published one.
      DependencyError: The package that has them is not installed.
    """
    choice = choose_backbone(model)
    if model.method != "replicate" and choice.weights != "none" and not is_trained_and_at_hand(choice):
        load_backbone(choice)
