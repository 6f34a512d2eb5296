"""Tests of tl_keras.data.turning, on thumbnails and features that are told apart by design."""

import numpy as np
import pytest

from tl_keras.data.thumbnail_classifier import Thumbnails
from tl_keras.data.turning import measure_turning

LABELS = np.arange(120) % 3


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def without_an_upright(*, images=120):
    return Thumbnails(np.arange(images) + 5, noise(images, 16, 16, 3), LABELS[:images])


def features(*, class_in_turns=(6.0, 6.0, 6.0, 6.0), turn=0.0):
    """Returns a function to features of 40 numbers: the first three tell the class, in each turn so strongly, and four the turn."""

    def of_turns(indices):
        made = noise(4, len(indices), 40)
        for each, strength in enumerate(class_in_turns):
            made[each, :, :3] += strength * np.eye(3)[LABELS[indices - 5]]
            made[each, :, 36 + each] += turn
        return made

    return of_turns


def nobody_asks(indices):
    raise AssertionError("the teacher was asked")


def test_images_without_an_upright_are_turned_and_it_is_said_why():
    found = measure_turning(without_an_upright(), features())
    assert found.allowed
    assert found.images == 120
    assert 0.15 < found.told < 0.35
    assert found.upright > 0.9 < found.turned
    assert found.describe().startswith(
        "turned by quarters in training: a linear classifier of the teacher's features says of "
    )


def test_where_thumbnails_tell_turns_the_teacher_is_not_asked():
    lit_from_above = noise(120, 16, 16, 3)
    lit_from_above[:, :4] += 1.0
    found = measure_turning(Thumbnails(np.arange(120), lit_from_above, LABELS), nobody_asks)
    assert not found.allowed
    assert found.told > 0.9
    assert found.describe().startswith("not turned in training: a linear classifier of thumbnails says of ")


def test_few_images_tell_nothing():
    found = measure_turning(without_an_upright(images=59), nobody_asks)
    assert not found.allowed
    assert found.describe() == "not turned in training: 59 images cannot show whether they have an upright"


@pytest.mark.parametrize(
    "seen",
    [
        {"turn": 6.0},  # an upright that thumbnails did not show
        {"turn": 0.8},  # one that is told now and then, as of flowers: in two images of five
        {"class_in_turns": (6.0, 0.0, 0.0, 0.0)},  # the class is that of the upright image alone, as of arrows
        {"class_in_turns": (0.0, 0.0, 0.0, 0.0)},  # the teacher knows nothing of the classes
    ],
)
def test_in_doubt_images_are_not_turned(seen):
    found = measure_turning(without_an_upright(), features(**seen))
    assert not found.allowed
    assert found.describe().startswith("not turned in training")
