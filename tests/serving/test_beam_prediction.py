"""Tests of tl_keras.serving.beam_prediction: the command with --beam against the command without it."""

import sys

import pytest

pytest.importorskip("apache_beam", reason="pip install 'tl_keras[beam]'")
from tl_keras.serving import bulk
from tl_keras.serving.beam_prediction import answer_with_beam
from tl_keras.serving.bulk import Settings, predict_to_file
from tl_keras.serving.image_inputs import image_inputs
from tl_keras.serving.predictor import load_predictor


@pytest.mark.slow
def test_several_processes_write_the_table_of_one_to_the_byte(run, tmp_path, monkeypatch):
    (tmp_path / "broken.png").write_bytes(b"no image")
    files = sorted((run.path / "images").iterdir())
    inputs = image_inputs([*files[:5], tmp_path / "broken.png", *files[5:]])
    model, settings = run.path / "saved_model", Settings(top_k=2, batch_size=2, max_pixels=10**6)
    monkeypatch.setattr(bulk, "_FEWEST_IN_A_PART", 4)
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))

    def with_beam(parts):
        assert len(parts.missing()) == 3
        answer_with_beam(parts, model, inputs, settings)

    tables = []
    for name, answer in (("one.parquet", None), ("several.parquet", with_beam)):
        written = predict_to_file(load_predictor(model), model, inputs, tmp_path / name, settings, answer=answer)
        assert written.refused == {"cannot be decoded": (1, inputs[5].name)}
        tables.append((tmp_path / name).read_bytes())
    assert tables[0] == tables[1]
