"""Tests of tl_keras.config.quick_start_config."""

from tl_keras.config import quick_start, validate


def test_it_is_whole_needs_no_download_and_each_call_gives_a_new_one():
    config = quick_start()
    validate(config)
    assert (config.data.source, config.model.weights) == ("digits", "embedded")
    config.data.source = "photos/"
    assert quick_start().data.source == "digits"
