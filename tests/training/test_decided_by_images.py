"""Tests of tl_keras.training.decided_by_images: what the images decide is decided once, and other runs take it over."""

import numpy as np
import pytest

from tl_keras.config import TransferConfig, resolve
from tl_keras.training.decided_by_images import decide_by_images, decided_alike
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import decide, read_images


@pytest.mark.slow
def test_nothing_is_left_to_the_images_and_the_reasons_are_given(tmp_path):
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (80, 64, 64, 3), np.uint8)
    np.savez(tmp_path / "images.npz", x_train=pixels, y_train=random.uniform(0, 10, 80))
    config = TransferConfig(task="regression")
    config.data.source, config.cache.folder = f"npz:{tmp_path}/images.npz", str(tmp_path / "cache")
    config.model.weights = "embedded"
    begun, models = decide(config), ModelCache()
    assert (begun.model.pooling, begun.data.horizontal_flip, begun.data.quarter_turns) == ("", "auto", "auto")
    decided, reasons = decide_by_images(begun, read_images(begun, models), models)
    assert decided.model.pooling != ""
    assert "auto" not in (decided.data.horizontal_flip, decided.data.quarter_turns)
    assert len(reasons) == 3
    assert begun.model.pooling == ""


def test_another_run_takes_the_decisions_over_and_nothing_else():
    config = TransferConfig()
    config.data.source = "digits"
    decided = resolve(config)
    decided.model.output_stride, decided.model.pooling = 8, "max"
    decided.data.horizontal_flip, decided.data.quarter_turns, decided.training.epochs = "off", "on", 7
    taken = decided_alike(config, decided)
    assert (taken.model.output_stride, taken.model.pooling) == (8, "max")
    assert (taken.data.horizontal_flip, taken.data.quarter_turns) == ("off", "on")
    assert (taken.training.epochs, taken.model.unfreeze) == (0, "")
    assert config.model.output_stride == 0
