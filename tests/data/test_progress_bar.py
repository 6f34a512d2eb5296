"""Tests of tl_keras.data.progress_bar."""

import pytest

from tl_keras.data.progress_bar import progress_bar

_CODE = (
    "from tl_keras.data.progress_bar import progress_bar\nwith progress_bar('looking', images=4) as bar: bar.update(3)"
)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_shows_it_and_a_file_does_not(capsys, monkeypatch, terminal):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    with progress_bar("looking", images=4) as bar:
        bar.update(3)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert ("looking" in captured.err) == terminal


def test_a_notebook_shows_it(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="pip install 'tl_keras[dev]'")
    nbclient = pytest.importorskip("nbclient", reason="pip install 'tl_keras[dev]'")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(_CODE)])
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    outputs = notebook.cells[0].outputs
    assert "looking" in str(outputs)
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []  # shown in red
