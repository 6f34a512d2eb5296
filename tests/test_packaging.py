"""Every file of the package that is no Python is installed with it, by setup.cfg."""

import configparser
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tl_keras"
DATA_FILES = [
    path.relative_to(ROOT)
    for path in sorted(PACKAGE.rglob("*"))
    if path.is_file() and path.suffix not in (".py", ".pyc") and not path.name.startswith(".")
]


def installed() -> set[pathlib.Path]:
    """Returns the files that `package_data` names."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    folders = {package: ROOT / package.replace(".", "/") for package in config["options.package_data"]}
    return {
        path.relative_to(ROOT)
        for package, patterns in config["options.package_data"].items()
        for pattern in patterns.split()
        for path in folders[package].glob(pattern)
    }


@pytest.mark.parametrize("path", DATA_FILES, ids=str)
def test_a_file_that_is_no_python_is_installed(path):
    assert path in installed()


def test_type_checkers_are_told_that_the_package_has_types():
    """PEP 561: they look into a package that holds this file."""
    assert pathlib.Path("tl_keras/py.typed") in installed()
