"""Tests of tl_keras.serving.student_statistics; what a whole run makes of it is in test_monitoring.py and test_export.py."""

import numpy as np

from tl_keras.data.arrays import ArraySource
from tl_keras.serving.student_statistics import predict_logits


def test_logits_of_many_images_are_asked_for_in_parts_and_keep_the_order():
    source = ArraySource(np.zeros((1500, 1, 1, 3), np.uint8), np.arange(1500) % 2)
    asked = []

    def answers(indices):
        asked.append(len(indices))
        return np.zeros((len(indices), 7), np.float32), np.stack([indices, -indices], axis=1).astype(np.float32)

    wanted = np.random.default_rng(0).permutation(1500)[:1200]
    logits = predict_logits(answers, source, wanted)
    np.testing.assert_array_equal(logits[:, 0], np.sort(wanted))
    assert asked == [512, 512, 176]
    np.testing.assert_array_equal(predict_logits(answers, source, wanted[:1])[:, 0], wanted[:1])
