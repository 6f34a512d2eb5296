"""Holds the quick start, `python -m tl_keras.train` with no data, no download and no other flag."""

from tl_keras.config import TransferConfig, quick_start


def get_config() -> TransferConfig:
    """Returns the quick start."""
    return quick_start()
