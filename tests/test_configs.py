"""Every recipe, in configs/ and in the package, is a valid config with a docstring that says how to run it."""

import ast
import pathlib
import re
import runpy

import pytest

from tl_keras.backbones.specs import TEXT_TEACHERS, backbone_names
from tl_keras.config import validate

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECIPES = sorted([*ROOT.glob("configs/*.py"), *ROOT.glob("tl_keras/recipes/[a-z]*.py")])


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_valid_and_says_how_to_run_it(recipe):
    config = runpy.run_path(str(recipe))["get_config"]()
    config.data.source = config.data.source or "photos/"
    validate(config)
    assert "python -m tl_keras.train" in ast.get_docstring(ast.parse(recipe.read_text()))
    assert config.model.backbone in (*backbone_names(), *TEXT_TEACHERS)


def accuracy_of(text: str) -> str:
    """Returns what a recipe's docstring says of the accuracy to expect."""
    return " ".join(text.split()).partition("Accuracy: ")[2]


def is_measured(accuracy: str) -> bool:
    """Returns whether it is a figure, with a paper of a year, or a file of ours, in which it was measured."""
    begins = re.match(r"((fine_tune|feature_extraction) )?0\.\d{3,4}\b", accuracy)
    return bool(
        begins
        and re.search(
            r"et al\. 20\d\d|README\.md|docs/(benchmarks|text)\.md|provenance\.json|, measured, one seed", accuracy
        )
    )


# For images that nobody has seen; every other recipe is for a known set.
FOR_ANY_IMAGES = ROOT / "configs" / "photos.py"


@pytest.mark.parametrize("recipe", sorted({*ROOT.glob("configs/*.py")} - {FOR_ANY_IMAGES}), ids=lambda path: path.stem)
def test_a_recipe_says_which_accuracy_to_expect_and_where_that_was_measured(recipe):
    assert is_measured(accuracy_of(ast.get_docstring(ast.parse(recipe.read_text()))))


def test_the_recipe_for_any_images_promises_no_accuracy():
    accuracy = accuracy_of(ast.get_docstring(ast.parse(FOR_ANY_IMAGES.read_text())))
    assert accuracy.startswith("not measured")
    assert not is_measured(accuracy)


@pytest.mark.parametrize(
    "text", ["Accuracy: not measured (Helber et al. 2019).", "Accuracy: 0.9.", "Accuracy: 0.915 here."]
)
def test_words_and_a_figure_without_a_source_are_no_measurement(text):
    assert not is_measured(accuracy_of(text))
