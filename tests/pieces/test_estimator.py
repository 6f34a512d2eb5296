"""Tests of tl_keras.pieces.estimator: what scikit-learn asks of a classifier. Its example runs in tests/test_examples.py."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from tl_keras.errors import ConfigError, DataError
from tl_keras.pieces.estimator import TransferClassifier


@pytest.fixture(scope="module")
def fitted(small_teacher):
    """A classifier of dark and light images whose labels are the numbers 7 and 3, and its images."""
    random = np.random.default_rng(0)
    labels = np.array([7, 3] * 20)
    images = random.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    images[labels == 7] //= 4
    return TransferClassifier(backbone=str(small_teacher), epochs=30).fit(images, labels), images, labels


@pytest.mark.long
def test_classes_keep_their_type_and_probabilities_their_order(fitted):
    classifier, images, labels = fitted
    assert classifier.classes_.tolist() == [3, 7]
    probabilities = classifier.predict_proba(images)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    predicted = classifier.predict(images)
    assert predicted.dtype == labels.dtype
    assert classifier.score(images, labels) == np.mean(predicted == labels) > 0.9


def test_a_clone_has_the_settings_and_nothing_that_was_learnt(fitted):
    copied = clone(fitted[0])
    assert copied.get_params() == fitted[0].get_params()
    with pytest.raises(NotFittedError):
        copied.predict(fitted[1])


def test_what_cannot_be_fitted_is_one_line(fitted):
    with pytest.raises(ConfigError, match="Did you mean fine_tune"):
        TransferClassifier(method="finetune").fit(*fitted[1:])
    with pytest.raises(DataError, match=r"Received: shape \(40, 768\) with 40 labels"):
        TransferClassifier().fit(fitted[1].reshape(40, -1), fitted[2])
