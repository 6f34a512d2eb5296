"""Tests of tl_keras.data.rand_augment: keras-cv's layer, seeded by image."""

import keras_cv
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from tensorflow.python.framework import op_def_registry

from tl_keras.data.rand_augment import SeededRandAugment
from tl_keras.errors import DependencyError

IMAGE = tf.constant(np.random.default_rng(0).integers(0, 256, (24, 20, 3)), tf.float32)
SEED = tf.constant([0, 1])


@pytest.fixture(scope="module")
def augment():
    return SeededRandAugment()


def changes(augment, images) -> np.ndarray:
    """Returns the mean difference of each changed image from the image."""
    dataset = tf.data.Dataset.range(images).map(lambda n: augment(IMAGE, tf.random.fold_in(SEED, tf.cast(n, tf.int32))))
    return np.abs(np.stack(list(dataset.as_numpy_iterator())) - IMAGE).mean(axis=(1, 2, 3))


def test_whatever_keras_cv_draws_comes_from_the_seed(augment):
    """No operation of the graph has a state, by TensorFlow's own definitions of its operations."""
    graph = tf.function(augment).get_concrete_function(IMAGE, SEED).graph.as_graph_def()
    operations = {node.op for function in graph.library.function for node in function.node_def}
    definitions = [op_def_registry.get(operation) for operation in operations]
    assert "StatelessRandomUniformV2" in operations
    assert not [definition.name for definition in definitions if definition and definition.is_stateful]


@pytest.mark.long
def test_images_change_as_much_as_by_the_layer_itself(augment):
    """Compares with keras-cv's own layer, unseeded, so that replacing its draws changes none of its operations."""
    layer = keras_cv.layers.RandAugment(value_range=(0, 255), augmentations_per_image=2, magnitude=0.3)
    ours, theirs = changes(augment, 3000), changes(tf.function(lambda image, seed: layer(image)), 3000)
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-6  # by chance once in a million runs, as the layer cannot be seeded


def test_a_keras_cv_that_draws_otherwise_is_refused(monkeypatch):
    """As after an update whose samplers this wrapper does not know."""
    augment = SeededRandAugment()
    monkeypatch.setattr(augment, "_layer", keras_cv.layers.RandAugment(value_range=(0, 255)))
    with pytest.raises(DependencyError, match=r"whose draws can be seeded by image.*Received: keras-cv .*draws by"):
        augment(IMAGE, SEED)
