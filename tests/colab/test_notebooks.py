"""The notebooks of colab/, executed from top to bottom with small settings, the embedded teacher and no network."""

import importlib.util
import os
import pathlib
import socket
import sys

import pytest

from tests.text.tiny_bert import write_tiny_bert

nbformat = pytest.importorskip("nbformat", reason="pip install 'tl_keras[dev]'")
nbclient = pytest.importorskip("nbclient", reason="pip install 'tl_keras[dev]'")

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(ROOT.glob("colab/*.ipynb"))
NO_JAX = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed: pip install 'tl_keras[jax]'"
)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def execute(name: str, folder: pathlib.Path, monkeypatch, **settings):
    """Executes a notebook in `folder` with other settings, as papermill does it; any error in a cell is one here."""
    monkeypatch.setenv("PATH", str(pathlib.Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    monkeypatch.setenv("IPYTHONDIR", str(folder / ".ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    for proxy in ("http_proxy", "https_proxy"):  # where nobody listens: a download fails
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    notebook = nbformat.read(ROOT / "colab" / f"{name}.ipynb", as_version=4)
    given = "\n".join(f"{key} = {value!r}" for key, value in settings.items())
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if "parameters" in cell.metadata.get("tags", []):
            assert all(f"\n{key} = " in f"\n{cell.source}" for key in settings)
            cells.append(nbformat.v4.new_code_cell(given))
        elif cell.cell_type == "code" and "\n!" in f"\n{cell.source}":
            cells.append(nbformat.v4.new_code_cell("assert _exit_code == 0"))  # that of the last ! command
    notebook.cells = cells
    nbclient.NotebookClient(
        notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert "".join(output.text for output in outputs if output.get("name") == "stderr") == ""  # shown in red
    return notebook


SMALL = {"DATA": "digits", "WEIGHTS": "embedded"}


@pytest.mark.slow
def test_quickstart(tmp_path, monkeypatch):
    few = {"METHOD": "feature_extraction", "IMAGES_PER_CLASS": 5, "EPOCHS": 1, "PORT": free_port()}
    execute("quickstart", tmp_path, monkeypatch, **SMALL, **few)
    assert (tmp_path / "run1" / "saved_model" / "1").is_dir()
    assert (tmp_path / "run1" / "report.html").is_file()


@pytest.mark.slow
def test_methods_compared(tmp_path, monkeypatch):
    few = {"IMAGES_PER_CLASS": 5, "EPOCHS": 1, "SEEDS": 2, "CUTS": ["none", "blocks:2"]}
    execute("methods_compared", tmp_path, monkeypatch, **SMALL, **few)
    assert (tmp_path / "cuts" / "sweep.png").is_file()
    assert (tmp_path / "comparison.html").is_file()


@pytest.mark.slow
def test_serving(tmp_path, monkeypatch):
    few = {"IMAGES_PER_CLASS": 10, "EPOCHS": 5, "FORMATS": "saved_model", "PORT": free_port()}
    executed = execute("serving", tmp_path, monkeypatch, **SMALL, **few)
    assert "exit status 3" in str(executed.cells[-1].outputs)


@pytest.mark.slow
def test_texts(tmp_path, monkeypatch):
    pytest.importorskip("tokenizers")
    rows = [
        f"{text} {number}?,{label}"
        for number in range(30)
        for text, label in (("where is a lake", "place"), ("who is a cat", "animal"))
    ]
    (tmp_path / "questions.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    executed = execute("texts", tmp_path, monkeypatch, BACKBONE=str(write_tiny_bert(tmp_path / "bert")))
    assert "place (" in str(executed.cells) and (tmp_path / "texts_run" / "report.html").is_file()


@pytest.mark.slow
def test_your_own_loop(tmp_path, monkeypatch):
    few = {"IMAGES_PER_CLASS": 20, "EPOCHS": 8}
    executed = execute("your_own_loop", tmp_path, monkeypatch, **SMALL, **few)
    said = "".join(output.get("text", "") for cell in executed.cells for output in cell.get("outputs", []))
    assert said.endswith("\nwithin noise\n"), said
    assert "'frozen_unchanged': " in said


@pytest.mark.slow
@NO_JAX
def test_tpu_on_the_cpu(tmp_path, monkeypatch):
    options = "--config.data.train_examples_per_class=5 --config.training.head_epochs=1"
    few = {"EPOCHS": 1, "BATCH_SIZE": 32, "OPTIONS": options}
    executed = execute("tpu", tmp_path, monkeypatch, **SMALL, **few)
    assert "'engine': 'jax'" in str(executed.cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_output_is_kept_and_nothing_is_installed_from_an_invented_address(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    installs = [
        line for cell in code for line in cell.source.splitlines() if "pip install" in line and "TL_KERAS" in line
    ]
    assert installs
    assert "github.com" not in path.read_text(encoding="utf-8")
