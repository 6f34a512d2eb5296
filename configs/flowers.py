"""Near to ImageNet, a few hundred photos: five kinds of flowers, a directory of class folders.

    python -m tl_keras.train --config=configs/flowers.py --data=flowers/ --workdir=flowers_run

For example TensorFlow's flower_photos (3,670 photos), or `--data=tfds:tf_flowers`.

Accuracy: 0.877 on 150 test photos, measured with 345 training photos of it and --refit=off, two seeds (README.md).
"""

from tl_keras.config import ModelConfig, TransferConfig


def get_config() -> TransferConfig:
    """Returns the recipe."""
    return TransferConfig(model=ModelConfig(backbone="MobileNetV2", method="feature_extraction"))
