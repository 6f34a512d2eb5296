"""Tests of tl_keras.data.pipeline."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.data.augmentation import make_augmentation
from tl_keras.data.batch_shard import BatchShard
from tl_keras.data.decoding import decode_image
from tl_keras.data.pipeline import (
    evaluation_batches,
    evaluation_images,
    evaluation_order,
    steps_per_epoch,
    training_batches,
)
from tl_keras.data.sources import open_source

INDICES = np.arange(5, 75)


def shrunk(image):
    return tf.image.resize(decode_image(image), (8, 8))


def unchanged(image, seed):
    return shrunk(image)


def train(source, *, transform=unchanged, seed=0, first_epoch=0, last_epoch=2, **options):
    return training_batches(
        source,
        INDICES,
        transform=transform,
        targets=lambda indices, view: tf.one_hot(tf.gather(source.labels, indices), 10),
        global_batch_size=32,
        seed=seed,
        first_epoch=first_epoch,
        last_epoch=last_epoch,
        **options,
    )


def evaluate(source, **options):
    return evaluation_batches(
        source,
        INDICES,
        transform=shrunk,
        targets=lambda indices, view: tf.one_hot(tf.gather(source.labels, indices), 10),
        global_batch_size=32,
        **options,
    )


def pixels_of(batches):
    return np.concatenate([images for images, _ in batches])


@pytest.fixture(scope="module")
def digits():
    return open_source("digits")


def test_an_epoch_ends_with_a_short_batch(digits):
    assert [len(images) for images, _ in train(digits)] == [32, 32, 6] * 2
    assert len(train(digits)) == 6


def test_shapes_and_types_are_known(digits):
    expected = (tf.TensorSpec((None, 8, 8, 3), tf.float32), tf.TensorSpec((None, 10), tf.float32))
    assert train(digits).element_spec == evaluate(digits).element_spec == expected


def test_every_epoch_has_every_image_in_another_order(digits):
    first, second = np.split(pixels_of(train(digits)), 2)
    every = pixels_of(evaluate(digits))
    for epoch in (first, second):
        np.testing.assert_array_equal(np.unique(epoch, axis=0), np.unique(every, axis=0))
    assert not np.array_equal(first, second)


def test_labels_belong_to_their_images(source):
    def examples(batches):
        return {
            (images[n].numpy().tobytes(), int(tf.argmax(labels[n])))
            for images, labels in batches
            for n in range(len(images))
        }

    assert examples(train(source)) == examples(evaluate(source))


def require_same_rest(source, preset):
    augment = make_augmentation(preset, horizontal_flip=True)

    def transform(image, seed):
        return augment(shrunk(image), seed)

    full = list(train(source, transform=transform, last_epoch=3))
    tf.random.set_seed(11)
    rest = list(train(source, transform=transform, first_epoch=1, last_epoch=3))
    assert (len(full), len(rest)) == (9, 6)
    for (images, labels), (same_images, same_labels) in zip(full[3:], rest, strict=True):
        np.testing.assert_array_equal(images, same_images)
        np.testing.assert_array_equal(labels, same_labels)


def test_a_later_start_gives_the_rest_of_the_full_run(source):
    require_same_rest(source, "light")


@pytest.mark.long
def test_a_later_start_gives_the_same_rand_augment(digits):
    require_same_rest(digits, "strong")


def test_the_seed_of_an_image_changes_with_run_epoch_and_index(digits):
    def seed_only(image, seed):
        return tf.ones((1, 1, 3)) * tf.random.stateless_uniform((), seed)

    drawn = np.concatenate([pixels_of(train(digits, transform=seed_only, seed=seed)) for seed in (0, 1)])
    assert len(np.unique(drawn[:, 0, 0, 0])) > 0.99 * 2 * 2 * len(INDICES)


def test_views_are_shown_in_turn_and_the_first_is_plain(digits):
    def shifted(image, seed):
        return shrunk(image) + 1000 + tf.cast(seed[0] % 1000, tf.float32)

    batches = train(digits, transform=shifted, last_epoch=5, views=3, plain=shrunk)
    pixels = np.sort(pixels_of(batches).reshape(5, 70, -1).mean(axis=2), axis=1)
    np.testing.assert_allclose(pixels[[0, 1]], pixels[[3, 4]], rtol=1e-6)
    assert pixels[0].max() <= 255
    assert pixels[1].min() > 999 and not np.allclose(pixels[1], pixels[2])


def test_mixed_labels_are_soft(digits):
    for images, labels in train(digits, mixup=1.0, last_epoch=1):
        assert images.shape[1:] == (8, 8, 3)
        np.testing.assert_allclose(np.sum(labels, axis=1), 1, rtol=1e-5)
        assert 0 < np.max(labels[0]) < 1


def test_evaluation_keeps_the_order_it_tells(source):
    labels = np.concatenate([labels for _, labels in evaluate(source)])
    order = evaluation_order(source, INDICES[::-1])
    np.testing.assert_array_equal(labels.argmax(axis=1), source.labels[order])
    np.testing.assert_array_equal(order, INDICES)


def test_a_file_damaged_during_training_raises(folder):
    source = open_source(str(folder))
    (folder / "cat/07.png").write_text("no image")
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(train(source))


@pytest.mark.parametrize(("images", "batch", "steps"), [(64, 32, 2), (65, 32, 3), (1, 32, 1)])
def test_steps_count_the_short_batch(images, batch, steps):
    assert steps_per_epoch(images, batch) == steps


def test_evaluation_images_are_those_of_the_batches():
    source = open_source("digits")
    batches = np.concatenate([images for images, _ in evaluate(source)])
    np.testing.assert_array_equal(evaluation_images(source, INDICES, transform=shrunk), batches)


def require_shares_of(whole, shares):
    """Checks that two processes with two replicas each take the rows of whole batches; the last stands for a remainder."""
    for (images, labels), *parts in zip(whole, *shares, strict=True):
        taken = [np.concatenate(tensors) for tensors in zip(*parts, strict=True)]
        assert len(parts[0][0]) == len(parts[1][0]) == len(taken[0]) / 2
        np.testing.assert_array_equal(taken[0][: len(images)], images)
        np.testing.assert_array_equal(taken[1][: len(images)], labels)
        np.testing.assert_allclose(np.sum(taken[2]), len(images))


def test_two_processes_take_the_evaluated_batches(source):
    require_shares_of(
        evaluate(source), [evaluate(source, shard=BatchShard(False, 4, process, 2)) for process in range(2)]
    )


def shaded(image, seed):
    return shrunk(image) + tf.random.stateless_uniform((), seed)


@pytest.mark.long
def test_two_processes_take_the_augmented_batches(source):
    shares = [train(source, transform=shaded, shard=BatchShard(True, 4, process, 2)) for process in range(2)]
    require_shares_of(train(source, transform=shaded), shares)


def test_two_processes_take_the_mixed_batches(digits):
    options = {"transform": shaded, "mixup": 1.0, "cutmix": 1.0}
    shares = [train(digits, shard=BatchShard(True, 4, process, 2), **options) for process in range(2)]
    require_shares_of(train(digits, **options), shares)


def test_a_process_reads_the_files_of_its_share_alone(folder):
    source, indices = open_source(str(folder)), np.arange(40)
    for index in indices[indices % 8 >= 4]:  # the second half of each batch
        pathlib.Path(source.path(index)).unlink()
    batches = evaluation_batches(
        source,
        indices,
        transform=shrunk,
        targets=lambda indices, view: tf.one_hot(tf.gather(source.labels, indices), 2),
        global_batch_size=8,
        shard=BatchShard(False, 2, 0, 2),
    )
    assert [len(images) for images, *_ in batches] == [4] * 5


def test_a_process_decodes_its_share_alone(source):
    decoded = []

    def noting(image, seed):
        tf.py_function(lambda: decoded.append(1), [], [])
        return shrunk(image)

    list(train(source, transform=noting, last_epoch=1, shard=BatchShard(True, 2, 0, 2)))
    assert len(decoded) == len(INDICES) // 2
