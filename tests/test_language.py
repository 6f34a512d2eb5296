"""The package speaks plain English: docstrings begin with a verb, their entries name a thing, and odd words stay out."""

import ast
import pathlib
import re

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parent.parent / "tl_keras"
ROOT = PACKAGE.parent
PAGES = [*ROOT.glob("*.md"), *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("benchmarks/*.md"))]
PACKAGE_FILES = sorted(PACKAGE.rglob("*.py"))
OTHER_FILES = [path for place in ("benchmarks", "configs", "tools") for path in sorted((ROOT / place).glob("*.py"))]

# "images: Of the training split." says whose, not what; "images: Images of the training split." says both.
OPENINGS = re.compile(
    r"^ +\w+: ((?:Of|What|Whether so|Wherein|Begun|With its|As for|In which|By which|That of|Those|Whose)\b.*)$", re.M
)
WORDS = re.compile(r"\b(anew|lest|save that|wherein|whereof|thereof|for want of|one of ours)\b", re.I)
RATES = re.compile(
    r"\b(images|steps|operations|requests|bytes|rows|pixels|seconds|labels) an? (second|step|image|epoch|class)\b", re.I
)


def of_each(files: list[pathlib.Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", files, ids=lambda path: path.relative_to(ROOT).as_posix())


def docstrings(path: pathlib.Path, *kinds: type[ast.AST]) -> list[str]:
    """Returns the docstrings of a file's nodes of some kinds."""
    found = (ast.get_docstring(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds))
    return [text for text in found if text]


@of_each(PACKAGE_FILES)  # a benchmark or a recipe begins with its title
def test_a_docstring_begins_with_a_verb(path):
    texts = docstrings(path, ast.Module, ast.FunctionDef, ast.AsyncFunctionDef)
    assert not [text.splitlines()[0] for text in texts if not re.match(r"[A-Z]\w*s,?\b", text)]


@of_each([*PACKAGE_FILES, *OTHER_FILES])
def test_an_entry_names_a_thing(path):
    texts = docstrings(path, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    assert not [found for text in texts for found in OPENINGS.findall(text)]


def odd_lines(path: pathlib.Path) -> list[str]:
    """Returns the lines of a file that have an odd word, or "a" where a rate has "per"."""
    return [line.strip() for line in path.read_text().splitlines() if WORDS.search(line) or RATES.search(line)]


@of_each([*PACKAGE_FILES, *OTHER_FILES])
def test_words_are_plain(path):
    assert not odd_lines(path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_words_of_pages_are_plain(page):
    assert not odd_lines(page)


@pytest.mark.parametrize("text", ["images: Of the run.", "scope: Wherein it trains.", "path: What it is."])
def test_an_entry_that_names_nothing_is_found(text):
    assert OPENINGS.search(f"  {text}")


@pytest.mark.parametrize("text", ["Start anew.", "images a second", "one of ours"])
def test_odd_words_are_found(text):
    assert WORDS.search(text) or RATES.search(text)
