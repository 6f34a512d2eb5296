"""Tests of tl_keras.serving.bulk: predictions in a file, also of a run that was stopped."""

import contextlib
import csv
import json

import pytest

from tl_keras.errors import ConfigError
from tl_keras.serving import bulk
from tl_keras.serving.bulk import Parts, Settings, _write_parquet, predict_to_file, require_format
from tl_keras.serving.image_inputs import image_inputs
from tl_keras.serving.predictor import load_predictor

SETTINGS = Settings(top_k=1, batch_size=3, max_pixels=10**6)


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


@pytest.mark.long
def test_a_run_that_was_stopped_goes_on_and_ends_alike(run, predictor, inputs, predicted, tmp_path, monkeypatch):
    out, answered = tmp_path / "answers.jsonl", []

    class Stopped:
        def update(self, number):
            answered.append(number)
            if len(answered) == 2:
                raise KeyboardInterrupt

    def write(out):
        return predict_to_file(predictor, run.path / "saved_model", inputs, out, SETTINGS)

    monkeypatch.setattr(bulk, "_FEWEST_IN_A_PART", 3)
    whole = tmp_path / "whole.jsonl"
    write(whole)
    monkeypatch.setattr(bulk, "progress_bar", lambda *args, **kw: contextlib.nullcontext(Stopped()))
    with pytest.raises(KeyboardInterrupt):
        write(out)
    (unfinished,) = tmp_path.glob(".*.unfinished")
    assert not out.exists()
    (unfinished / "000001.jsonl").unlink()  # as if the second part had been killed, of which nothing is left
    written = write(out)
    assert answered == [3, 3, 3, 3, 2]  # the first run answered two parts of three images, the second all but the first
    assert written.refused == {"cannot be decoded": (1, inputs[5].name)} and not unfinished.exists()
    assert read(out) == expected(inputs, predicted)
    assert out.read_bytes() == whole.read_bytes()  # to the last digit, with a damaged image amid a batch


def expected(inputs, predicted):
    rows = [(row["file"], row["label"], False) for row in predicted]
    return [*rows[:5], (inputs[5].name, "", True), *rows[5:]]


@pytest.mark.parametrize("suffix", bulk.SUFFIXES)
def test_each_format_has_all_rows(run, predictor, inputs, predicted, tmp_path, suffix):
    refused = {"file": inputs[5].name, "error": "expected a whole image", "reason": ""}
    rows = [*predicted[:5], refused, *predicted[5:]]
    out = tmp_path / f"answers{suffix}"
    predict_to_file(predictor, run.path, inputs, out, SETTINGS, answer=lambda parts: parts.write(0, iter(rows)))
    assert read(out) == expected(inputs, predicted)


def test_what_other_settings_left_unfinished_is_not_gone_on_with(run, predictor, inputs, tmp_path):
    out = tmp_path / "answers.jsonl"
    parts = Parts.of(out, len(inputs), SETTINGS.batch_size)
    parts.begin({"of": "other images"})
    (parts.folder / "000000.jsonl").write_text("{}\n" * len(inputs))
    assert not parts.missing()
    predict_to_file(predictor, run.path / "saved_model", inputs, out, SETTINGS)
    assert all("file" in json.loads(line) for line in out.read_text().splitlines())


def test_a_name_of_no_known_format_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"ends in \.csv"):
        require_format(tmp_path / "answers.xlsx")


def test_grades_and_refusals_have_their_types_in_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pip install 'tl_keras[tables]'")
    answered = {"file": "a.jpg", "score": 0.5, "grade": 1, "expected_grade": 1.5, "refused": False}
    rows = [answered, {"file": "b.jpg", "error": "expected an image", "reason": ""}]
    _write_parquet(iter(rows), [*answered, "error", "reason"], tmp_path / "a.parquet")
    first, second = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert first == {**answered, "error": None, "reason": None}
    assert second["grade"] is second["refused"] is None
