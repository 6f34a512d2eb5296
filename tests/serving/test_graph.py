"""Tests of tl_keras.serving.graph: the function that every export is made from, and the signatures that call it."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.serving.graph import answering_function, signatures
from tl_keras.serving.model_file import load_model


@pytest.fixture(scope="module")
def trained(embedded):
    return load_model(embedded.model)


@pytest.fixture(scope="module")
def answer(trained):
    return answering_function(trained)


@pytest.fixture(scope="module")
def images(trained, source):
    pixels = [element["image"] for element in source.images(np.arange(3))]
    return tf.stack([trained.preprocess.evaluation_transform(image) for image in pixels])


@pytest.mark.long
def test_the_answers_are_those_of_the_model_and_its_statistics(trained, answer, images):
    answered = answer(images)
    logits = trained.model(images, training=False)
    np.testing.assert_allclose(answered["logits"], logits, rtol=1e-4, atol=1e-4)
    probabilities = trained.task.probabilities(answered["logits"] / trained.statistics.temperature)
    np.testing.assert_allclose(answered["probabilities"], probabilities, atol=1e-6)
    scores = trained.statistics.outliers.score(answered["features"])
    np.testing.assert_allclose(answered["outlier"], scores, rtol=1e-4)


def test_the_weights_are_constants(answer):
    graph = answer.get_concrete_function()
    assert not graph.variables
    assert not graph.graph.captures


def test_normalisation_is_folded_into_the_convolutions(answer):
    functions = answer.get_concrete_function().graph.as_graph_def().library.function
    operations = collections.Counter(node.op for function in functions for node in function.node_def)
    convolutions = operations["Conv2D"] + operations["DepthwiseConv2dNative"]
    assert operations["BiasAdd"] == convolutions + 1 > 10  # one of the head
    assert operations["Rsqrt"] == 1  # of the outlier score; those of the normalisations are gone


@pytest.mark.long
def test_all_signatures_share_one_function_with_the_weights(trained, source):
    made = signatures(trained)
    assert set(made) == {"serving_default", "images", "tf_example", "features", "logits"}
    files = tf.constant([source.encoded_image(index) for index in range(3)])
    answered = made["serving_default"](image_bytes=files)
    assert set(answered) == {"probabilities", "label", "score", "top_k_labels", "top_k_scores", "outlier"}
    best = answered["probabilities"].numpy().argmax(axis=1)
    assert [name.decode() for name in answered["label"].numpy()] == [trained.class_names[at] for at in best]
    assert made["features"](image_bytes=files)["features"].shape == (3, trained.statistics.outliers.mean.shape[0])
