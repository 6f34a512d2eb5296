"""Tests of tl_keras.advice.near_copies."""

import tracemalloc

import numpy as np

from tl_keras.advice.near_copies import copies_by_features


def test_images_of_one_object_are_linked_and_images_of_one_class_are_not():
    random, objects = np.random.default_rng(0), np.repeat(np.arange(40), 5)
    classes = random.normal(size=(4, 64))[objects % 4]
    photos = classes + 1.5 * random.normal(size=(40, 64))[objects] + 0.5 * random.normal(size=(200, 64))
    linked = copies_by_features(photos.astype(np.float32), objects % 4)
    assert all(len(set(linked[objects == each])) == 1 for each in range(40)) and len(set(linked)) == 40
    apart = classes + 1.5 * random.normal(size=(200, 64))
    assert len(set(copies_by_features(apart.astype(np.float32), objects % 4))) > 190


def test_near_copies_of_two_scenes_are_joined_without_all_their_pairs():
    random, of = np.random.default_rng(0), np.repeat([0, 1], 3000)
    photos = (random.normal(size=(2, 64))[of] + 0.2 * random.normal(size=(6000, 64))).astype(np.float32)
    tracemalloc.start()
    linked = copies_by_features(photos, of)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(linked, of)
    assert most < 150_000_000
