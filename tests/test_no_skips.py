"""Tests of tests/no_skips.py: real runs of pytest, on one process and on two."""

import os
import pathlib
import subprocess
import sys

import pytest

PASSES = "def test_it(): pass\n"
SKIPS = "import pytest\ndef test_it(): pytest.skip({!r})\n"
LACKS_A_PACKAGE = "import pytest\nabsent = pytest.importorskip('absent', reason='pip install absent')\n" + PASSES


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(
    ("text", "option", "status"),
    [
        (SKIPS.format("needs a GPU"), True, 0),
        (SKIPS.format("gcc is not installed: no GPU either"), True, 1),
        (SKIPS.format("gcc is not installed"), False, 0),
        (LACKS_A_PACKAGE, True, 1),
    ],
    ids=["allowed", "in a test", "without the option", "a whole file"],
)
def test_a_skip_that_is_not_allowed_fails_the_run_and_is_named(tmp_path, text, option, status, workers):
    (tmp_path / "test_skips.py").write_text(text)
    (tmp_path / "test_passes.py").write_text(PASSES)
    (tmp_path / "pytest.ini").touch()
    command = [sys.executable, "-m", "pytest", "-p", "no_skips", "-n", workers, *["--fail-on-skips"][:option]]
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parent)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout
    assert ("skips that fail this run" in done.stdout) == bool(status)
    assert ("test_skips.py" in done.stdout.partition("skips that fail this run")[2]) == bool(status)
