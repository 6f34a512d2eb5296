"""Defines the config of the run without `--data`."""

from __future__ import annotations

from tl_keras.config.data_fields import DataConfig
from tl_keras.config.fields import TransferConfig
from tl_keras.config.model_fields import ModelConfig
from tl_keras.config.training_fields import TrainingConfig


def quick_start() -> TransferConfig:
    """Returns the config of the run without `--data`: the embedded teacher on scikit-learn's digits, ten labels per class.

    Example:
      ```python
      import tl_keras

      config = tl_keras.quick_start()
      assert config.data.source == "digits" and config.model.weights == "embedded"
      ```
    """
    return TransferConfig(
        data=DataConfig(
            source="digits",
            train_examples_per_class=10,
            # Half of the 1,797 scans measure, a tenth choose the epoch: ten labels per class are only for training.
            validation_fraction=0.1,
            test_fraction=0.5,
            augmentation="none",  # a scan of 8 x 8 pixels has nothing to spare
            horizontal_flip="off",
        ),
        model=ModelConfig(backbone="MobileNetV2", weights="embedded", method="fine_tune"),
        training=TrainingConfig(epochs=10, global_batch_size=16),
    )
