"""Holds the defaults of `python -m tl_keras.train --data=photos/ --workdir=run1`."""

from tl_keras.config import TransferConfig


def get_config() -> TransferConfig:
    """Returns the defaults."""
    return TransferConfig()
