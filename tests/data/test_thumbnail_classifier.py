"""Tests of tl_keras.data.thumbnail_classifier."""

import numpy as np
import pytest

from tl_keras.data.arrays import ArraySource, digits_source
from tl_keras.data.thumbnail_classifier import draw_thumbnails, right_out_of_fold, tells_classes


def test_the_seed_draws_the_images_and_their_order_does_not_matter():
    source = digits_source()
    first = draw_thumbnails(source, np.arange(400), seed=3)
    again = draw_thumbnails(source, np.arange(400)[::-1], seed=3)
    np.testing.assert_array_equal(first.drawn, again.drawn)
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert len(first.drawn) == 300
    assert not np.array_equal(first.drawn, draw_thumbnails(source, np.arange(400), seed=4).drawn)


def test_a_thumbnail_is_the_mean_of_what_it_covers_with_the_label_of_its_image():
    images = np.zeros((4, 32, 32, 3), np.uint8)
    images[2, :2, :2] = 51  # the four pixels under the first of the thumbnail
    found = draw_thumbnails(ArraySource(images, ["a", "b", "b", "a"]), np.arange(4), seed=0)
    place = found.drawn.tolist().index(2)
    assert found.pixels[place, 0, 0] == pytest.approx(0.2)
    assert found.pixels.sum() == pytest.approx(0.6)
    assert found.labels[place] == 1


def test_an_image_is_answered_by_a_classifier_that_has_not_seen_it():
    random = np.random.default_rng(0)
    noise, labels = random.normal(size=(100, 300)), random.integers(0, 2, 100)
    right = right_out_of_fold([(noise, labels)], [(noise, labels)])
    assert right.shape == (1, 100)
    assert 0.3 < right.mean() < 0.7  # one that had seen it would be right on all
    told = noise + 3 * labels[:, None]
    right, wrong = right_out_of_fold([(told, labels)], [(told, labels), (told, 1 - labels)])
    assert right.mean() == 1.0
    assert wrong.mean() == 0.0


@pytest.mark.parametrize(("accuracy", "tells"), [(0.5, False), (0.59, False), (0.61, True)])
def test_what_is_above_the_largest_class_by_two_standard_errors_tells(accuracy, tells):
    assert tells_classes(accuracy, np.arange(100) % 2, errors=2.0) is tells
