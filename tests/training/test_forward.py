"""An engine is taken when it is there, agrees with Keras and is fastest; an engine that was asked for never falls back."""

import json

import keras
import numpy as np
import pytest

from tl_keras.errors import DependencyError, TrainingError
from tl_keras.training import forward
from tl_keras.training.forward import ENGINES, fastest_forward, lacking

_IMAGES = np.random.default_rng(0).uniform(-1, 1, (5, 8, 8, 3)).astype(np.float32)


@pytest.fixture
def model():
    convolved = keras.layers.Conv2D(4, 3)(inputs := keras.Input((8, 8, 3)))
    pooled = keras.layers.GlobalAveragePooling2D()(convolved)
    return keras.Model(inputs, [convolved, pooled])


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_that_is_there_gives_keras_numbers(model, engine):
    if lack := lacking(engine):
        pytest.skip(f"needs a {lack}")
    chosen = fastest_forward(model, [_IMAGES], engine=engine, images=5)
    assert chosen.engine == engine
    for ours, expected in zip(chosen.call([_IMAGES[:3]]), model(_IMAGES[:3]), strict=True):
        np.testing.assert_allclose(ours, expected, atol=forward.TOLERANCES[engine] or 1e-6)


def test_few_images_are_not_measured(model, monkeypatch, tmp_path):
    monkeypatch.setattr(forward, "lacking", lambda engine: "processor" if engine.endswith("bf16") else "")
    chosen = fastest_forward(model, [_IMAGES], images=5, memory=tmp_path / "engines.json")
    assert (chosen.engine, list(tmp_path.iterdir())) == ("tf_graph", [])


@pytest.fixture
def openvino(monkeypatch):
    """A second engine to measure: where OpenVINO is not installed, TensorFlow's graph again under its name."""
    if lacking("openvino"):
        monkeypatch.setattr(
            forward, "_openvino", lambda graph, _: lambda arrays: [each.numpy() for each in graph(*arrays)]
        )
    monkeypatch.setattr(forward, "lacking", lambda engine: "processor" if engine.endswith("bf16") else "")


def test_what_was_measured_is_remembered(model, openvino, tmp_path):
    memory = tmp_path / "cache" / "engines.json"
    measured = fastest_forward(model, [_IMAGES], images=10**9, memory=memory)
    assert list(json.loads(memory.read_text()).values()) == [measured.engine]
    remembered = fastest_forward(model, [_IMAGES], images=10**9, memory=memory)
    assert remembered.engine == measured.engine
    assert "before" in remembered.reason


def test_openvino_is_recommended_where_there_is_nothing_else(model, monkeypatch):
    monkeypatch.setattr(forward, "lacking", lambda engine: "" if engine in ("keras", "tf_graph") else "OpenVINO")
    assert "tl_keras[openvino] may be faster" in fastest_forward(model, [_IMAGES], images=5).reason


@pytest.mark.parametrize(("accelerator", "tried"), [(None, False), ("CPU:0", True)])
def test_xla_is_tried_where_there_is_an_accelerator(model, monkeypatch, accelerator, tried):
    monkeypatch.setattr(forward, "lacking", lambda engine: "OpenVINO" if engine.startswith("openvino") else "")
    monkeypatch.setattr(forward, "_accelerator", lambda: accelerator)
    assert ("xla" in fastest_forward(model, [_IMAGES], images=10**9).reason) == tried


def test_xla_takes_longer_and_shorter_batches_than_its_example(model):
    call = fastest_forward(model, [_IMAGES[:3]], engine="xla", images=5).call
    np.testing.assert_allclose(call([_IMAGES])[0][3:], call([_IMAGES[3:]])[0], atol=1e-6)


def test_a_damaged_memory_is_measured_again(model, openvino, tmp_path):
    (tmp_path / "engines.json").write_text("{")
    fastest_forward(model, [_IMAGES], images=10**9, memory=tmp_path / "engines.json")
    assert json.loads((tmp_path / "engines.json").read_text())


def test_other_numbers_than_keras_are_refused(model, monkeypatch):
    monkeypatch.setitem(forward.TOLERANCES, "tf_graph", -1.0)
    with pytest.raises(TrainingError, match=r"expected Keras's activations from tf_graph"):
        fastest_forward(model, [_IMAGES], engine="tf_graph", images=5)
    assert fastest_forward(model, [_IMAGES], images=5).engine == "keras"


def test_an_engine_that_is_not_there_is_refused(model, monkeypatch):
    monkeypatch.setattr(forward, "_cpu_info", lambda: "flags : sse2")
    with pytest.raises(DependencyError, match="no processor with AMX"):
        fastest_forward(model, [_IMAGES], engine="tf_graph_bf16", images=5)


def test_keras_alone_without_tensorflow_behind_it(model, monkeypatch):
    monkeypatch.setattr(forward.keras.backend, "backend", lambda: "jax")
    assert fastest_forward(model, [_IMAGES], images=5).engine == "keras"
