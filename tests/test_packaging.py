"""Every file of the package that is no Python is installed with it, by setup.cfg."""

import configparser
import pathlib
import re

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


def instructions(dockerfile: pathlib.Path) -> list[tuple[str, str]]:
    """Returns the instructions of a Dockerfile with their arguments, continued lines joined."""
    lines = dockerfile.read_text().replace("\\\n", " ").splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("name", ["Dockerfile.train", "Dockerfile.serving"])
def test_a_dockerfile_is_well_formed_and_copies_what_is_there(name):
    found = instructions(ROOT / "deploy" / name)
    known = {"FROM", "ARG", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "ENTRYPOINT"}
    assert {instruction for instruction, _ in found} <= known and found[0][0] == "FROM"
    copied = [path for instruction, given in found if instruction == "COPY" for path in given.split()[:-1]]
    assert copied
    assert not [path for path in copied if "${" not in path and not (ROOT / path).exists()]
    assert all(":" in given for instruction, given in found if instruction == "FROM")  # a version, not the latest


def test_the_dockerfile_installs_extras_that_there_are():
    (run,) = (given for instruction, given in instructions(ROOT / "deploy" / "Dockerfile.train") if "pip" in given)
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = re.search(r"\.\[(.*?)\]", run)[1].split(",")
    assert {each for each in extras if "$" not in each} <= set(config["options.extras_require"])


def test_the_manifest_of_kserve_is_an_inference_service_for_a_saved_model():
    yaml = pytest.importorskip("yaml", reason="pip install pyyaml")
    manifest = yaml.safe_load((ROOT / "deploy" / "kserve.yaml").read_text())
    assert (manifest["apiVersion"], manifest["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    model = manifest["spec"]["predictor"]["model"]
    assert model["modelFormat"]["name"] == "tensorflow"
    assert model["storageUri"].endswith("/saved_model")
