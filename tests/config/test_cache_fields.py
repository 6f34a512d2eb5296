"""Tests of tl_keras.config.cache_fields: the options of the cache are a part of the config."""

from tl_keras.config import TransferConfig, from_json, to_json
from tl_keras.config.cache_fields import CacheConfig


def test_the_cache_goes_through_json():
    config = TransferConfig(cache=CacheConfig(enabled=False, dtype="float16"))
    assert from_json(to_json(config)).cache == config.cache
