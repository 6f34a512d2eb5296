"""Tests of tl_keras.training.own_parts; runs with them are in tests/pieces/test_methods.py."""

import pytest

from tl_keras.errors import ConfigError, WorkdirError
from tl_keras.training.own_parts import NO_PARTS, OwnParts


def same(image, seed):
    return image


def other(image, seed):
    return image + 1


def test_a_run_that_goes_on_keeps_its_token_and_its_function():
    begun = OwnParts(augmentation=same).begun(None)
    record = begun.to_json()
    assert OwnParts(augmentation=same).begun(record) == begun
    assert OwnParts(augmentation=same).begun(None).token != begun.token  # whose cached views are its own
    with pytest.raises(WorkdirError, match=r"same\. Received: .*other, whose source is another"):
        OwnParts(augmentation=other).begun(record)


def test_without_parts_there_is_no_record():
    assert NO_PARTS.to_json() is None
    assert NO_PARTS.begun(None) is NO_PARTS


@pytest.mark.parametrize(("parts", "augmentation"), [(NO_PARTS, "own"), (OwnParts(augmentation=same), "light")])
def test_the_config_and_the_program_agree_on_the_augmentation(parts, augmentation):
    with pytest.raises(ConfigError, match="augmentation: expected own together with a function"):
        parts.check(augmentation)
