"""Tests of tl_keras.backbones.families as a table; `test_specs` holds each row against its network."""

import collections

import pytest

from tl_keras.backbones.families import all_specs

SPECS = {spec.name: spec for spec in all_specs()}


def test_every_backbone_has_one_row():
    names = collections.Counter(spec.name for spec in all_specs())
    assert len(names) >= 40
    assert set(names.values()) == {1}


@pytest.mark.parametrize("name", SPECS)
def test_every_row_names_its_sources_and_possible_sizes(name):
    spec = SPECS[name]
    assert len({weights.name for weights in spec.weights}) == len(spec.weights)
    for weights in spec.weights:
        assert weights.source
        assert weights.preprocess.image_size >= spec.min_image_size
        assert 0 < weights.preprocess.crop_fraction <= 1
    assert spec.parameters < spec.parameters_with_top
    assert 0 < spec.imagenet_top1 < 1 or spec.imagenet_top1 == 0
    assert len(spec.blocks) >= 3


def test_of_every_width_an_accuracy_is_published_and_wider_is_better():
    for spec in SPECS.values():
        accuracies = [spec.top1(alpha) for alpha in spec.alphas]
        assert accuracies == sorted(accuracies)
        assert all(accuracies) or spec.alphas == (1.0,)


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [("MobileNetV3Small", "MobileNetV3Large"), ("ResNet50", "ResNet152"), ("EfficientNetB0", "EfficientNetB7")],
)
def test_within_a_family_the_larger_has_more_parameters_and_higher_accuracy(smaller, larger):
    assert SPECS[smaller].parameters < SPECS[larger].parameters
    assert SPECS[smaller].imagenet_top1 < SPECS[larger].imagenet_top1
