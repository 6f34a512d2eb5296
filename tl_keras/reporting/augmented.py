"""Shows training images as the run varied them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tl_keras.backbones.preprocessing import Preprocess
from tl_keras.config import TransferConfig
from tl_keras.data.pipeline import evaluation_images, view_batches
from tl_keras.data.sources import Source
from tl_keras.reporting.page import jpeg_uri
from tl_keras.serving.student_statistics import evenly
from tl_keras.training.transforms import training_transform

_IMAGES, _VIEWS, _SIDE = 4, 3, 112


def augmented_samples(
    config: TransferConfig, source: Source, train: np.ndarray, preprocess: Preprocess
) -> list[dict[str, Any]]:
    """Returns some training images, each with its `id` and `pictures`: as it is, and in the first views that training showed.

    None are returned where images were not varied, or by a function of the program, which is not here.

    Args:
      config: Resolved config of the run.
      source: The images.
      train: int64 (k,), those that were trained on.
      preprocess: Preprocessing of the student.
    """
    if config.data.augmentation in ("none", "own"):
        return []
    chosen = np.sort(evenly(train, _IMAGES))
    transform = training_transform(
        preprocess,
        augmentation=config.data.augmentation,
        horizontal_flip=config.data.horizontal_flip == "on",
        min_crop_area=config.data.min_crop_area,
        quarter_turns=config.data.quarter_turns == "on",
    )
    seen = [evaluation_images(source, chosen, transform=preprocess.evaluation_transform)]
    for view in range(1, 1 + _VIEWS):
        batches = view_batches(source, chosen, transform=transform, seed=config.seed, view=view, batch_size=len(chosen))
        seen.append(np.concatenate([images.numpy() for _, images in batches]))
    return [
        {"id": source.ids[index], "pictures": [jpeg_uri(images[row], _SIDE) for images in seen]}
        for row, index in enumerate(chosen.tolist())
    ]
