"""Tests of tl_keras.config.cuts."""

import ast
import pathlib

import pytest

from tl_keras.config import ModelConfig, choose_cut, cuts, method_of_cut

PACKAGE = pathlib.Path(cuts.__file__).parent.parent


@pytest.mark.parametrize(
    ("cut", "method", "unfreeze"), [("none", "feature_extraction", ""), ("blocks:2", "fine_tune", "blocks:2")]
)
def test_nothing_unfrozen_means_feature_extraction(cut, method, unfreeze):
    model = ModelConfig()
    choose_cut(model, cut)
    assert (method_of_cut(cut), model.method, model.unfreeze) == (method, method, unfreeze)


def test_it_is_written_in_one_place():
    """No other file compares a cut with `none` to choose between names of methods, nor maps methods to cuts."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.IfExp, ast.Dict, ast.If, ast.Match)):
                strings = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}
                if isinstance(node, ast.If):
                    strings = {part.value for part in ast.walk(node.test) if isinstance(part, ast.Constant)}
                if {"none", "feature_extraction"} <= strings:
                    found.setdefault(str(path.relative_to(PACKAGE)), []).append(node.lineno)
    assert list(found) == ["config/defaults.py"]
