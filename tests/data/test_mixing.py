"""Tests of tl_keras.data.mixing."""

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.data.mixing import mix

SEED = tf.constant([1, 2], tf.int64)


def a_batch(n=4, size=8):
    """Returns images that are filled with their own position, and one-hot labels of it."""
    images = tf.broadcast_to(tf.reshape(tf.range(n, dtype=tf.float32), (n, 1, 1, 1)), (n, size, size, 3))
    return images, tf.one_hot(tf.range(n), n)


@pytest.mark.parametrize("alphas", [{"mixup": 1.0, "cutmix": 0.0}, {"mixup": 0.0, "cutmix": 1.0}])
def test_labels_are_mixed_in_the_share_of_the_pixels(alphas):
    images, labels = a_batch()
    mixed, soft = mix(images, labels, SEED, **alphas)
    values = np.tensordot(soft, np.arange(4), axes=1)  # what the pixels of such a mixture have on average
    np.testing.assert_allclose(np.mean(mixed, axis=(1, 2, 3)), values, atol=1e-5)
    np.testing.assert_allclose(np.sum(soft, axis=1), 1, rtol=1e-6)
    assert 0 < float(soft[0, 0]) < 1


def test_cutmix_pastes_one_box():
    mixed, _ = mix(*a_batch(), SEED, mixup=0.0, cutmix=1.0)
    pasted = mixed.numpy()[1, :, :, 0] == 0
    rows, columns = pasted.any(axis=1), pasted.any(axis=0)
    np.testing.assert_array_equal(pasted, rows[:, None] & columns[None, :])
    assert pasted.any() and not pasted.all()


def test_the_same_seed_mixes_alike_and_another_otherwise():
    shares = [float(mix(*a_batch(), tf.constant([seed, 0]), mixup=0.5, cutmix=0.0)[1][0, 0]) for seed in (3, 3, 4)]
    assert shares[0] == shares[1] != shares[2]


def test_with_both_some_batches_have_one_and_some_the_other():
    kinds = set()
    for seed in range(12):
        mixed, _ = mix(*a_batch(), tf.constant([seed, 0]), mixup=1.0, cutmix=1.0)
        kinds.add(len(np.unique(mixed[1])) == 1)
    assert kinds == {True, False}


def test_shares_have_the_moments_of_the_beta_distribution():
    shares = [float(mix(*a_batch(), tf.constant([seed, 5]), mixup=0.4, cutmix=0.0)[1][0, 0]) for seed in range(400)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.06)
    assert np.var(shares) == pytest.approx(0.25 / (2 * 0.4 + 1), abs=0.03)
