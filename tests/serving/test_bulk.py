"""Tests of tl_keras.serving.bulk: predictions in a file, also of a run that was stopped."""

import contextlib
import csv
import json

import pytest

from tl_keras.errors import ConfigError
from tl_keras.serving import bulk
from tl_keras.serving.bulk import predict_to_file, require_format
from tl_keras.serving.image_inputs import image_inputs
from tl_keras.serving.predictor import load_predictor


@pytest.fixture(scope="module")
def predictor(run):
    return load_predictor(run.path / "saved_model")


@pytest.fixture
def inputs(run, tmp_path):
    """Ten images and, between them, a file that is none."""
    (tmp_path / "broken.png").write_bytes(b"no image")
    files = sorted((run.path / "images").iterdir())
    return image_inputs([*files[:5], tmp_path / "broken.png", *files[5:]])


def read(path):
    """Returns file, label and whether there is an error of every row."""
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    elif path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    else:
        rows = pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()
    return [(row["file"], row.get("label") or "", bool(row.get("error"))) for row in rows]


@pytest.mark.parametrize("suffix", bulk.SUFFIXES)
def test_a_run_that_was_stopped_goes_on_and_ends_alike(
    run, predictor, inputs, predicted, tmp_path, monkeypatch, suffix
):
    out, answered = tmp_path / f"answers{suffix}", []

    class Stopped:
        def update(self, number):
            answered.append(number)
            if len(answered) == 2:
                raise KeyboardInterrupt

    def write():
        return predict_to_file(
            predictor, run.path / "saved_model", inputs, out, top_k=1, batch_size=3, max_pixels=10**6
        )

    monkeypatch.setattr(bulk, "_ROWS", 4)
    monkeypatch.setattr(bulk, "progress_bar", lambda *args, **kw: contextlib.nullcontext(Stopped()))
    with pytest.raises(KeyboardInterrupt):
        write()
    (unfinished,) = tmp_path.glob(".*.unfinished")
    assert not out.exists()
    unfinished.write_bytes(unfinished.read_bytes()[:-10])  # as a kill in the middle of a line
    written = write()
    assert answered == [4, 4, 4]  # of the second run: seven rows were whole
    assert written.refused == {"cannot be decoded": (1, inputs[5].name)} and not unfinished.exists()
    expected = [(row["file"], row["label"], False) for row in predicted]
    assert read(out) == [*expected[:5], (inputs[5].name, "", True), *expected[5:]]


def test_a_name_of_no_known_format_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"ends in \.csv"):
        require_format(tmp_path / "answers.xlsx")
