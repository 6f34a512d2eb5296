"""Near to ImageNet, which has dogs and cats by breed: 37 breeds of them, 3,680 training photos.

    python -m tl_keras.train --config=configs/pets.py --workdir=pets

Accuracy: 0.915 with the teacher frozen, 0.921 with all of it fine-tuned, mean per class: a ResNet-50 supervised on ImageNet
("Supervised-IN", Chen et al. 2020, as quoted by Grill et al. 2020, table 3; rates and decay chosen by a search). Not run
here, so no time.
"""

from tl_keras.config import DataConfig, ModelConfig, TransferConfig


def get_config() -> TransferConfig:
    """Returns the recipe."""
    return TransferConfig(
        data=DataConfig(source="tfds:oxford_iiit_pet"),
        model=ModelConfig(backbone="ResNet50", method="feature_extraction"),
    )
