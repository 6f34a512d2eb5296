"""Tests of tl_keras.training.image_remarks."""

import numpy as np
import pytest

from tl_keras.backbones.specs import backbone_spec
from tl_keras.data.arrays import ArraySource
from tl_keras.data.inspection import inspect_source
from tl_keras.training.image_remarks import crop_remark, say_once
from tl_keras.training.model_cache import ModelCache


@pytest.mark.parametrize(("resize", "said"), [("original", "keeps 19% of the images' area"), ("pad", "")])
def test_a_crop_that_loses_much_of_elongated_images_is_said(resize, said):
    images = np.random.default_rng(0).integers(0, 256, (12, 20, 80, 3), dtype=np.uint8)
    inspection = inspect_source(ArraySource(images, np.arange(12) % 2))
    preprocess = backbone_spec("ResNet50").default_weights.preprocess.with_resize(resize)
    assert said in "".join(crop_remark(preprocess, inspection))
    assert bool(said) == bool(crop_remark(preprocess, inspection))


def test_of_the_same_images_a_sentence_is_said_once_and_of_others_again(capsys):
    images = np.random.default_rng(0).integers(0, 256, (12, 20, 20, 3), dtype=np.uint8)
    some, others = (inspect_source(ArraySource(each, np.arange(12) % 2)) for each in (images, images[::-1] // 2))
    models = ModelCache()
    say_once(["one", "two"], some, models)
    say_once(["two", "three"], some, models)
    say_once(["two"], others, models)
    assert capsys.readouterr().err.splitlines() == ["data: one", "data: two", "data: three", "data: two"]
