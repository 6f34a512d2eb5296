"""A folder of your own: `photos/` with a folder of images for each class. Copy this file and change it.

    python -m tl_keras.train --config=configs/photos.py --data=photos/ --workdir=photos_run

Accuracy: not measured, none cited; it depends on your images. `python -m tl_keras.advise --data=photos/` estimates it, and the
time, before anything is trained.

What is not named below has its default, described in docs/options.md. People change most: `model.backbone`, `model.method`,
`model.unfreeze`, `training.epochs`, and `data.horizontal_flip=off` where left and right differ, as in writing.
"""

from tl_keras.config import TrainingConfig, TransferConfig


def get_config() -> TransferConfig:
    """Returns the recipe."""
    # Folders that people collect are seldom equally full, and a rare class counts as much as another.
    return TransferConfig(training=TrainingConfig(class_weights="balanced"))
