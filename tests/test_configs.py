"""Every recipe, in configs/ and in the package, is a valid config with a docstring that says how to run it."""

import ast
import pathlib
import runpy

import pytest

from tl_keras.backbones.specs import backbone_names
from tl_keras.config import validate

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECIPES = sorted([*ROOT.glob("configs/*.py"), *ROOT.glob("tl_keras/recipes/[a-z]*.py")])


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_valid_and_says_how_to_run_it(recipe):
    config = runpy.run_path(str(recipe))["get_config"]()
    config.data.source = config.data.source or "photos/"
    validate(config)
    assert "python -m tl_keras.train" in ast.get_docstring(ast.parse(recipe.read_text()))
    assert config.model.backbone in backbone_names()


@pytest.mark.parametrize("recipe", sorted(ROOT.glob("configs/*.py")), ids=lambda path: path.stem)
def test_a_recipe_says_which_accuracy_to_expect_and_where_that_was_measured(recipe):
    text = " ".join(ast.get_docstring(ast.parse(recipe.read_text())).split())
    accuracy = text.partition("Accuracy: ")[2]
    assert "al. 20" in accuracy or "measured" in accuracy or "docs/benchmarks.md" in accuracy
