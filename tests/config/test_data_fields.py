"""Tests of tl_keras.config.data_fields: whether former values are read."""

from tl_keras.config.data_fields import DataConfig


def test_a_flip_of_former_versions_is_read():
    assert DataConfig(horizontal_flip=False).horizontal_flip == "off"
    assert DataConfig(horizontal_flip="True").horizontal_flip == "on"
