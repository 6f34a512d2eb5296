"""Tests of `python -m tl_keras.backbones`."""

import pathlib
import subprocess
import sys

import pytest

from tl_keras.backbones.__main__ import listed, markdown, shown
from tl_keras.backbones.specs import backbone_names, backbone_spec
from tl_keras.errors import BackboneError

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "backbones.md"


def test_every_backbone_is_listed():
    assert [line.split()[0] for line in listed("name").splitlines()[1:]] == list(backbone_names())


@pytest.mark.parametrize(
    ("order", "first", "last"),
    [("top1", "ConvNeXtXLarge", "AlexNet"), ("parameters", "MobileNetV3Small", "ConvNeXtXLarge")],
)
def test_the_list_is_sorted(order, first, last):
    names = [line.split()[0] for line in listed(order).splitlines()[1:]]
    assert (names[0], names[-1]) == (first, last)


def test_the_cuts_of_a_backbone_add_up_to_its_parameters():
    lines = shown("MobileNet").splitlines()
    cuts = [line.replace(",", "").split()[-3:] for line in lines if line.startswith("blocks:")]
    total = backbone_spec("MobileNet").parameters
    assert sum(int(parameters) for parameters, _, _ in cuts) == total
    assert all(int(below) + int(above) == total for _, below, above in cuts)
    assert (
        "weights imagenet: central 87.5% of each side, squashed to 224, bilinear as TensorFlow 1 samples; normalisation tf"
        in lines
    )


def test_showing_an_unknown_backbone_offers_the_nearest():
    with pytest.raises(BackboneError, match="Did you mean MobileNetV2"):
        shown("mobilenetv2")


def test_the_page_in_docs_is_that_of_the_table():
    assert PAGE.read_text(encoding="utf-8") == markdown(), (
        "run: python -m tl_keras.backbones --markdown > docs/backbones.md"
    )


def test_the_list_needs_no_tensorflow():
    code = (
        "import runpy, sys; sys.argv = ['x', '--sort=blocks']\n"
        "try: runpy.run_module('tl_keras.backbones', run_name='__main__')\n"
        "except SystemExit as end: print(end.code, {'tensorflow', 'keras', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 set()"
