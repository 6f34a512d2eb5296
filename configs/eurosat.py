"""Far from ImageNet, many images: Sentinel-2 satellite images of ten kinds of land, 27,000 of 64 pixels.

    python -m tl_keras.train --config=configs/eurosat.py --workdir=eurosat

Accuracy: 0.9857, a ResNet-50 supervised on ImageNet, all of it fine-tuned on the RGB bands, with a random 80% to train on
(Helber et al. 2019, "EuroSAT", IEEE JSTARS). TFDS declares one split, of which this run takes 15% for validation and 15% for
the test, so it trains on 70%. Not run here, so no time; a GPU is needed.
"""

from tl_keras.config import DataConfig, ModelConfig, TrainingConfig, TransferConfig


def get_config() -> TransferConfig:
    """Returns the recipe."""
    return TransferConfig(
        data=DataConfig(source="tfds:eurosat/rgb"),
        # An image of 64 pixels has no margin that a crop could take away.
        model=ModelConfig(backbone="ResNet50", method="fine_tune", unfreeze="all", resize="squash"),
        training=TrainingConfig(global_batch_size=128),
    )
