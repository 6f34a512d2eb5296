"""Tests of tl_keras.serving.student_statistics; what a whole run makes of it is in test_monitoring.py and test_export.py."""

import io

import numpy as np

from tl_keras.data.arrays import ArraySource
from tl_keras.serving.outlier import fit_outlier_model
from tl_keras.serving.student_statistics import StudentStatistics, fit_student_statistics, predict_logits
from tl_keras.tasks.single_label import SINGLE_LABEL


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


def test_a_profile_comes_back_and_says_on_which_images_it_was_measured():
    random = np.random.default_rng(0)
    profile = fit_student_statistics(
        train_features=random.random((40, 8), np.float32),
        validation_features=random.random((12, 8), np.float32),
        validation_logits=random.normal(0, 3, (12, 3)).astype(np.float32),
        validation_labels=np.arange(12) % 3,
        classes=3,
        task=SINGLE_LABEL,
    )
    read = StudentStatistics.from_bytes(profile.to_bytes())
    assert read.threshold_of == "validation"
    assert read.calibration == profile.calibration
    assert read.to_json()["measured_on"] == "12 validation images, each by a temperature fitted without it"
    np.testing.assert_array_equal(read.outliers.components, profile.outliers.components)


def test_a_profile_of_an_older_version_is_read_and_its_error_called_what_it_was():
    random = np.random.default_rng(0)
    outliers = fit_outlier_model(random.random((40, 8), np.float32), random.random((12, 8), np.float32))
    file = io.BytesIO()
    np.savez(
        file,
        temperature=1.5,
        calibration_error=(0.2, 0.1),
        reference=np.zeros((1, 2)),
        predicted_counts=np.array([5, 7]),
        **{f"outliers.{name}": value for name, value in vars(outliers).items()},
    )
    profile = StudentStatistics.from_bytes(file.getvalue())
    assert profile.temperature == 1.5
    assert profile.threshold_of == "unknown"
    assert profile.to_json()["measured_on"] == "12 validation images, those that the temperature was fitted to"
