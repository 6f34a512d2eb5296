"""Tests of tl_keras.training.recalibration."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.builder import build_student, choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.training.recalibration import recalibrate


@pytest.fixture(scope="module")
def recalibrated():
    """A student, its weights before, and the batches that it was recalibrated on."""
    config = ModelConfig(weights="none", image_size=32, alpha=0.35, method="fine_tune", unfreeze="blocks:1")
    student = build_student(choose_backbone(config), config, num_classes=2)
    student.plan.apply(student.backbone)
    random = np.random.default_rng(0)
    images = (random.uniform(0, 1, (12, 1, 1, 1)) * random.uniform(0, 255, (12, 32, 32, 3))).astype("float32")
    batches = tf.data.Dataset.from_tensor_slices((images, np.zeros(12))).batch(5)
    before = [keras.ops.convert_to_numpy(weight).copy() for weight in student.model.weights]
    recalibrate(student.model, student.plan, student.backbone, batches)
    return student, before, images


def test_statistics_are_the_mean_over_the_images_whatever_the_size_of_the_last_batch(recalibrated):
    student, _, images = recalibrated
    convolution = keras.Model(student.backbone.inputs[0], student.backbone.get_layer("Conv_1").output)
    outputs = convolution(student.preprocess.normalize(images), training=False).numpy()
    layer = student.backbone.get_layer("Conv_1_bn")
    expected = outputs.mean(axis=(0, 1, 2))  # far below 1, since the teacher is random
    assert np.linalg.norm(layer.moving_mean - expected) < 1e-3 * np.linalg.norm(expected)


def test_nothing_else_changes(recalibrated):
    student, before, _ = recalibrated
    changed = [
        weight.path.partition("/")[0]
        for weight, old in zip(student.model.weights, before, strict=True)
        if not np.array_equal(weight, old)
    ]
    assert changed == ["Conv_1_bn", "Conv_1_bn"]
    assert not student.backbone.get_layer("Conv_1_bn").trainable
    assert student.backbone.get_layer("Conv_1_bn").momentum == 0.999
