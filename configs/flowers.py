"""Near to ImageNet, a few hundred photos: five kinds of flowers, a directory of class folders.

    python -m tl_keras.train --config=configs/flowers.py --data=flowers/ --workdir=flowers_run

For example TensorFlow's flower_photos (3,670 photos), or `--data=tfds:tf_flowers`. docs/benchmarks.md has what was
measured on 400 training photos of it.
"""

from tl_keras.config import ModelConfig, TransferConfig


def get_config() -> TransferConfig:
    """Returns the recipe."""
    return TransferConfig(model=ModelConfig(backbone="MobileNetV2", method="feature_extraction"))
