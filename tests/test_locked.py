"""Tests of tl_keras.locked."""

import dataclasses

import pytest

from tl_keras.errors import ConfigError
from tl_keras.locked import Locked


@dataclasses.dataclass
class Settings(Locked):
    """An example."""

    epochs: int = 1
    seed: int = 0


def test_its_own_fields_can_be_given_and_set():
    settings = Settings(epochs=2)
    settings.seed = 3
    assert settings == Settings(2, 3)


@pytest.mark.parametrize("write", [lambda: Settings(epoch=2), lambda: setattr(Settings(), "epoch", 2)])
def test_any_other_is_an_error_that_offers_the_nearest(write):
    message = r"Settings: expected one of its fields. Received: epoch. Did you mean epochs\?"
    with pytest.raises(ConfigError, match=message):
        write()


def test_where_none_is_near_all_are_listed():
    with pytest.raises(ConfigError, match="The fields are: epochs, seed"):
        Settings(zzz=1)
