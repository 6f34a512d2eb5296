"""The embedded teacher: a small MobileNetV2 trained from scratch on MNIST.

    python -m tl_keras.train --config=configs/embedded_mnist.py --data=npz:mnist.npz --workdir=embedded_mnist

`mnist.npz` is the file that `keras.datasets.mnist` downloads.

Accuracy: 0.979 on the 10,000 test images after 1,732 seconds on two cores, measured; it is the run that made the weights in the
package, and `tl_keras/backbones/embedded/provenance.json` has its hashes.
"""

from tl_keras.config import DataConfig, ModelConfig, TrainingConfig, TransferConfig


def get_config() -> TransferConfig:
    """Returns the recipe."""
    return TransferConfig(
        data=DataConfig(validation_fraction=0.1, augmentation="light", horizontal_flip="off", quarter_turns="off"),
        model=ModelConfig(
            backbone="MobileNetV2", weights="none", alpha=0.35, image_size=32, resize="squash", method="replicate"
        ),
        training=TrainingConfig(epochs=8, global_batch_size=128, learning_rate=3e-3),
        export="none",
    )
