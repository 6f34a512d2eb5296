"""Far from ImageNet, and a decision of weight: pneumonia or not, 5,232 chest X-rays of children to train on.

    python -m tl_keras.train --config=configs/chest_xrays.py --data=chest_xray/ --workdir=chest_xrays

`chest_xray/` is the archive of Kermany et al. (Mendeley Data, rscbjbr9sj) with `train/` and `test/`, each with `NORMAL/` and
`PNEUMONIA/`; TFDS has only thumbnails of it (`tfds:pneumonia_mnist`, 28 pixels). Kaggle's copy adds `val/` with 16 images, too few
to choose an epoch: remove it, and validation is taken from `train/`.

Accuracy: 0.928 on the 624 test images, sensitivity 0.932, specificity 0.901, an Inception-v3 supervised on ImageNet and frozen
below its last layer (Kermany et al. 2018, Cell 172, 1122-1131). Not run here, so no time. Several images are of one patient, and
validation is split by image: judge by `test/` alone. For research, not for diagnosis.
"""

from tl_keras.config import DataConfig, ModelConfig, TrainingConfig, TransferConfig


def get_config() -> TransferConfig:
    """Returns the recipe."""
    return TransferConfig(
        data=DataConfig(horizontal_flip="off", quarter_turns="off"),  # the heart is on the left
        # A crop would cut off the lungs' edges, and squashing change the heart's width, which means something.
        model=ModelConfig(backbone="InceptionV3", method="feature_extraction", resize="pad"),
        training=TrainingConfig(class_weights="balanced"),  # three in four are PNEUMONIA
    )
