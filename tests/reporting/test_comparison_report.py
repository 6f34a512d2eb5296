"""Tests of tl_keras.reporting.comparison_report, by the command."""

import subprocess
import sys

import pytest

from tl_keras.errors import DataError
from tl_keras.reporting.comparison_report import write_comparison


def test_runs_are_compared_without_tensorflow(compared, tmp_path):
    code = (
        "import sys; from tl_keras.reporting.comparison_report import write_comparison\n"
        "write_comparison(sys.argv[1:3], sys.argv[3]); print({'tensorflow', 'keras'} & set(sys.modules))"
    )
    runs = [compared[0] / name / "seed_0" for name in ("short", "long")]
    done = subprocess.run([sys.executable, "-c", code, *runs, tmp_path / "two.html"], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
    text = (tmp_path / "two.html").read_text()
    assert "All were measured on the same images." in text
    assert "training.epochs" in text
    assert "Validation by" in text and "Converged" in text
    assert "training.learning_rate" not in text  # the same in both


def test_runs_on_other_images_are_said_to_be(compared, in_memory, tmp_path):
    page = write_comparison([compared[0] / "long" / "seed_0", in_memory[0]], tmp_path / "two.html")
    assert "not all measured on the same images" in page.read_text()


def test_a_directory_without_a_run_is_one_line(compared, tmp_path):
    with pytest.raises(DataError, match="finished run") as raised:
        write_comparison([compared[0] / "long" / "seed_0", tmp_path], tmp_path / "two.html")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "two.html").exists()
