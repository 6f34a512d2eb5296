"""Tests of tl_keras.errors."""

import inspect

import pytest

from tl_keras import errors

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.TransferError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_in_the_tree_of_the_docstring(kind):
    assert kind.__name__ in inspect.getdoc(errors)


def test_training_and_exports_fail_with_1_and_mistakes_of_users_with_2():
    failed = {kind.__name__ for kind in KINDS if kind.exit_status == 1}
    assert failed == {"TrainingError", "ExportError"}
    assert {kind.exit_status for kind in KINDS} == {1, 2}


@pytest.mark.parametrize(
    ("name", "known", "offered"),
    [
        ("mobilnetv2", ["MobileNetV2", "ResNet50"], "Did you mean MobileNetV2? "),
        ("epoch", ["epochs", "head_epochs"], "Did you mean epochs or head_epochs? "),
        ("zzz", ["epochs"], ""),
        ("epoch", [], ""),
    ],
)
def test_the_nearest_names_are_offered_whatever_their_case(name, known, offered):
    assert errors.nearest(name, known) == offered
