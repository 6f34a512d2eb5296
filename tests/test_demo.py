"""Tests of tl_keras.demo, the command, as `make demo` runs it."""

import pytest
from forked_commands import run_command


def test_a_wrong_number_of_seeds_is_one_line():
    process = run_command("demo", "--seeds=0")
    assert (process.returncode, process.stdout, process.stderr.count("\n")) == (2, "", 1)


@pytest.mark.slow
def test_it_compares_the_methods_and_the_export_answers(tmp_path):
    process = run_command("demo", f"--workdir={tmp_path}", "--seeds=1")
    assert process.returncode == 0, process.stderr
    for said in ("replicate", "feature_extraction", "fine_tune", "asked with TensorFlow alone, answers: "):
        assert said in process.stdout
    assert "absl" not in process.stderr  # nor what else compiled code says of itself in the spawned processes
    assert (tmp_path / "fine_tune" / "seed_0" / "saved_model" / "1").is_dir()
