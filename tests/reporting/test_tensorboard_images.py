"""Tests of tl_keras.reporting.tensorboard_images: what TensorBoard reads."""

import dataclasses
import shutil

import tensorflow as tf

from tl_keras.reporting.finished_run import read_run
from tl_keras.reporting.tensorboard_images import write_confusion_image


def test_the_confusion_matrix_is_an_image_at_the_kept_epoch(compared, tmp_path):
    shutil.copytree(compared[0] / "long" / "seed_0", tmp_path / "run")
    run = read_run(tmp_path / "run")
    assert write_confusion_image(run)
    images = [
        (event.step, value.tensor)
        for file in (run.path / "logs" / run.split).glob("*.v2")
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
        if value.tag == "confusion"
    ]
    assert [step for step, _ in images] == [run.result.kept_epoch - 1]
    assert tf.io.decode_png(images[0][1].string_val[2]).shape == (600, 600, 3)


def test_a_score_that_is_no_accuracy_has_none(compared):
    run = read_run(compared[0] / "long" / "seed_0")
    other = dataclasses.replace(run, result=dataclasses.replace(run.result, score_name="mean_precision"))
    assert not write_confusion_image(other)
