"""Tests of tl_keras.serving.runtime_check: the script as a process of its own."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tl_keras.serving import runtime_check


@pytest.mark.long
def test_it_answers_without_tl_keras(run, source, tmp_path):
    files = [np.frombuffer(source.encoded_image(index), np.uint8) for index in range(2)]
    np.savez(tmp_path / "questions.npz", **{f"image_{i}": file for i, file in enumerate(files)})
    asked = [run.path / "saved_model" / "1", tmp_path / "questions.npz", tmp_path / "answers.npz"]
    done = subprocess.run(
        [sys.executable, runtime_check.__file__, "saved_model", "probabilities"],
        input=json.dumps(list(map(str, asked))),
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "answers.npz") as answers:
        assert answers["logits"].shape == answers["probabilities"].shape == (2, 3)
        np.testing.assert_allclose(answers["probabilities"].sum(axis=1), 1, rtol=1e-5)
        assert 0 < answers["milliseconds"] < 10_000


@pytest.mark.parametrize("name", ["run[1]", "run?*"])
def test_a_path_that_tensorflow_takes_for_a_pattern_is_opened(run, tmp_path, name):
    (tmp_path / name).symlink_to(run.path / "saved_model" / "1")
    assert "serving_default" in runtime_check.open_saved_model(str(tmp_path / name)).signatures
