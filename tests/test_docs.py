"""Every command of the pages is understood, those of the README run, every link leads somewhere, every error is listed."""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from benchmarks import table

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
RECIPES = sorted(ROOT.glob("configs/*.py"))


@pytest.fixture(scope="module", autouse=True)
def _this_package():
    """Commands run in other folders, and import the package of this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        yield


def blocks(page: pathlib.Path, language: str) -> list[str]:
    """Returns what stands in the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


def commands(page: pathlib.Path) -> list[str]:
    """Returns the commands of a page's blocks, of cells that begin with --data, or of a recipe's docstring, a line each."""
    text = page.read_text() if page.suffix == ".py" else "\n".join(blocks(page, "(?:bash)?"))
    cells = re.findall(r"\| `(--data=[^`]+)` \|$", page.read_text(), re.M)
    text = "\n".join([text, *(f"python -m tl_keras.train {flags} --workdir=run1" for flags in cells)])
    return re.findall(r"^ *(python -m tl_keras\.[a-z_]+ .*|python -m tl_keras\.[a-z_]+)$", text, re.M)


def answers_to(lines: list[str]) -> dict[str, str]:
    """Returns what `parse_commands.py` says to each command."""
    asked = [sys.executable, str(ROOT / "tests" / "parse_commands.py")]
    said = subprocess.check_output(asked, input="\n".join(lines), text=True, cwd=ROOT)
    return dict(zip(lines, said.splitlines(), strict=True))


@pytest.fixture(scope="module")
def answers():
    """What is said to every command of every page and recipe."""
    return answers_to(sorted({command for page in (*PAGES, *RECIPES) for command in commands(page)}))


@pytest.mark.long
@pytest.mark.parametrize("page", [*PAGES, *RECIPES], ids=lambda page: page.name)
def test_every_command_is_understood(page, answers):
    refused = {command: answers[command] for command in commands(page) if answers[command] != "understood"}
    assert not refused


def test_commands_are_found():
    assert len(commands(ROOT / "README.md")) > 10


@pytest.mark.parametrize(("flag", "message"), [("--epoch=3", "epochs"), ("--method=tune", "method")])
def test_a_wrong_command_is_not_understood(flag, message):
    line = f"python -m tl_keras.train --data=photos/ {flag}"
    assert message in answers_to([line])[line]


def anchors(page: pathlib.Path) -> set[str]:
    """Returns the anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_is_left_to_fill_in(page):
    assert "@@" not in page.read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for link in re.findall(r"\]\((?!https?:|mailto:)([^)]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_ours_that_is_named_is_there(page):
    for name in re.findall(r"`((?:benchmarks|colab|configs|docs|tests|tl_keras|tools)/[\w./-]+)`", page.read_text()):
        assert (ROOT / name).exists(), name


def test_every_error_is_listed():
    done = subprocess.run([sys.executable, str(ROOT / "tools" / "list_errors.py"), "--check"], check=False)
    assert done.returncode == 0, "run: python tools/list_errors.py"


def test_every_option_is_listed_as_it_is():
    done = subprocess.run([sys.executable, str(ROOT / "tools" / "list_options.py"), "--check"], check=False)
    assert done.returncode == 0, "run: python tools/list_options.py"


def test_the_page_has_what_was_measured():
    text = table.PAGE.read_text()
    assert table.page(text, table.RESULTS) == text
    text = table.ADVICE_PAGE.read_text()
    assert table.advice_page(text, json.loads(table.ADVICE.read_text())) == text
    text = table.SMALL_PAGE.read_text()
    assert table.small_page(text, json.loads(table.SMALL.read_text())) == text


# What the README's commands are run on. The default teacher's weights are real; ResNet50's are not at hand. What trains many
# networks from random weights is made small.
SMALL = ["--image_size=32", "--epochs=1", "--config.training.head_epochs=1"]
ADDED = {"run2": [*SMALL, "--weights=none"], "run3": SMALL, "sweep1": SMALL}
COLOURS = {"red": (200, 40, 30), "green": (40, 180, 60), "blue": (30, 60, 210)}


@pytest.fixture(scope="module")
def photos(tmp_path_factory, shared_data):
    """A folder with photos/, more_photos/, new_photos/, photo.jpg, labels.csv and configs/; commands run in it in order."""
    import numpy as np
    from PIL import Image

    folder, random = tmp_path_factory.mktemp("readme"), np.random.default_rng(0)
    rows = ["path,label"]
    for place, count in (("photos", 20), ("more_photos", 5)):
        for name, colour in COLOURS.items():
            (folder / place / name).mkdir(parents=True)
            for i in range(count):
                pixels = np.clip(random.normal(colour, 40, (80, 100, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / place / name / f"{i}.jpg")
                if place == "photos":
                    rows.append(f"photos/{name}/{i}.jpg,{name}")
    shutil.copy(folder / "photos" / "red" / "0.jpg", folder / "photo.jpg")
    shutil.copytree(folder / "more_photos" / "red", folder / "new_photos")
    shutil.copytree(ROOT / "configs", folder / "configs")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def missing_packages(stderr: str) -> bool:
    return "Run: pip install" in stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", commands(ROOT / "README.md"))
def test_the_commands_of_the_readme_run(photos, command):
    _, *arguments = shlex.split(command, comments=True)
    added = [flag for workdir, more in ADDED.items() if f"--workdir={workdir}" in arguments for flag in more]
    process = subprocess.Popen([sys.executable, *arguments, *added], cwd=photos, stderr=subprocess.PIPE, text=True)
    if "tl_keras.serve" in arguments:
        try:
            assert "<html" in page_of(process, "http://127.0.0.1:8501/")
        finally:
            process.terminate()
            process.communicate()
        return
    stderr = process.communicate()[1]
    if missing_packages(stderr):
        pytest.skip(stderr.strip().splitlines()[-1])
    assert process.returncode in ((0, 3) if "tl_keras.monitor" in arguments else (0,)), stderr


def page_of(process: subprocess.Popen, address: str) -> str:
    """Returns what a server answers, once it does."""
    while True:
        assert process.poll() is None
        try:
            return urllib.request.urlopen(address).read().decode()
        except urllib.error.URLError:
            time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks(ROOT / "README.md", "python"), ids=["from Python"])
def test_the_python_of_the_readme_runs(photos, block):
    subprocess.run([sys.executable, "-c", block], cwd=photos, check=True)
