"""Every public name has an Example in its docstring, and each of them runs as it stands."""

import ast
import importlib
import inspect
import pathlib
import re
import shutil
import textwrap

import numpy as np
import pytest
from PIL import Image

import tl_keras

ROOT = pathlib.Path(__file__).resolve().parent.parent
PUBLIC = {
    *(f"tl_keras.{name}" for name in tl_keras.__all__),
    *re.findall(r"^::: (tl_keras\S+)$", (ROOT / "docs" / "api.md").read_text(), re.M),
}
COLOURS = {"red": (200, 40, 30), "blue": (30, 60, 210)}


def resolved(name: str):
    """Returns the module, class or function of a dotted name."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return getattr(importlib.import_module(module), attribute)


def example_of(name: str) -> str:
    """Returns the code of the Example in a docstring, or an empty string."""
    found = re.search(r"^Example:\n((?:  .*\n|\n)+)", f"{inspect.getdoc(resolved(name)) or ''}\n", re.M)
    block = found and re.search(r"^```python\n(.*?)^```$", textwrap.dedent(found[1]), re.M | re.S)
    return block[1] if block else ""


def names_with_an_example() -> set[str]:
    """Returns the functions and classes of every module whose docstring has an Example, whether public or not."""
    found = set()
    for path in sorted((ROOT / "tl_keras").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and "Example:\n" in (ast.get_docstring(node) or ""):
                found.add(f"{module}.{node.name}")
    return found


def functions_and_classes() -> list[str]:
    """Returns one name for each public function and class, and for each other one that has an Example."""
    names = sorted(PUBLIC | names_with_an_example())
    return list({id(thing): name for name in names if not inspect.ismodule(thing := resolved(name))}.values())


@pytest.fixture(scope="module")
def folder(tmp_path_factory, small_teacher):
    """A folder with photos/ of two classes, photo.jpg, teacher.keras, and the finished runs run1 and run2 on them."""
    folder, random = tmp_path_factory.mktemp("examples"), np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(20):
            pixels = np.clip(random.normal(colour, 40, (24, 30, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{i}.jpg")
    (folder / "photos" / "red" / "0.jpg").rename(folder / "photo.jpg")
    for file in small_teacher.parent.glob("teacher.*"):
        shutil.copy(file, folder)
    for seed, workdir in enumerate(["run1", "run2"]):
        config = tl_keras.TransferConfig(seed=seed, export="none")
        config.data.source = str(folder / "photos")
        config.model.backbone, config.model.method = str(small_teacher), "feature_extraction"
        config.training.epochs = 2
        tl_keras.train_and_evaluate(config, folder / workdir)
    return folder


@pytest.mark.long
@pytest.mark.parametrize("name", functions_and_classes())
def test_the_example_runs(name, folder, monkeypatch):
    code = example_of(name)
    assert code, f"{name} has no Example"
    monkeypatch.chdir(folder)
    exec(compile(code, f"<example of {name}>", "exec"), {"__name__": "example"})
