"""Tests of tl_keras.experiments.soup: real runs, averaged."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.config import quick_start
from tl_keras.errors import WorkdirError
from tl_keras.experiments.measure import evaluate_run
from tl_keras.experiments.soup import make_soup
from tl_keras.serving.model_file import load_model
from tl_keras.serving.parity import ParityRecord
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache


@pytest.fixture(scope="module")
def runs(small_teacher, tmp_path_factory):
    """Two runs of one teacher and seed, at different rates, stopped early enough for an average to help."""
    folder, models = tmp_path_factory.mktemp("runs"), ModelCache()
    for name, rate in (("slow", 3e-3), ("fast", 3e-2)):
        config = quick_start()
        config.model.backbone, config.model.weights = str(small_teacher), "imagenet"
        config.model.method, config.export, config.training.learning_rate = "feature_extraction", "none", rate
        config.training.epochs, config.data.train_examples_per_class = 2, 5
        train_and_evaluate(config, folder / name, models=models)
    return [folder / "slow", folder / "fast"]


def claim(run, accuracy):
    """Writes a validation accuracy into a run's result."""
    file = run / "result.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "validation_accuracy": accuracy}))


@pytest.mark.long
def test_an_average_that_is_better_is_a_run_of_its_own(runs, tmp_path):
    for run in runs:
        claim(run, 0.1)  # so that any average is better
    soup = make_soup(runs, tmp_path / "soup", models=ModelCache())
    assert sorted(soup.of) == sorted(map(str, runs))
    assert json.loads((tmp_path / "soup" / "soup.json").read_text()) == soup.to_json()
    assert not (tmp_path / "soup" / "result.json").exists()
    weights = [load_model(run / "model.keras").model.get_weights() for run in (*runs, tmp_path / "soup")]
    for one, other, average in zip(*weights, strict=True):
        np.testing.assert_allclose(average, (one + other) / 2, atol=1e-6)
    measured = evaluate_run(tmp_path / "soup", split="validation")
    assert measured["accuracy"] == pytest.approx(soup.validation_accuracy, abs=1e-6)


@pytest.mark.slow
def test_what_one_run_has_trained_below_the_cut_of_another_is_in_the_score(small_teacher, tmp_path):
    models, runs = ModelCache(), []
    layers = keras.models.load_model(small_teacher, compile=False).layers
    for name in [layer.name for layer in layers if isinstance(layer, keras.layers.Conv2D)]:
        config = quick_start()
        config.model.backbone, config.model.weights = str(small_teacher), "imagenet"
        config.model.method, config.model.unfreeze, config.export = "fine_tune", f"regex:^{name}$", "none"
        config.training.epochs, config.training.head_epochs = 8, 1
        config.training.learning_rate, config.training.fine_tune_learning_rate_factor = 3e-2, 0.1
        config.data.train_examples_per_class, config.training.refit = 5, "off"
        runs.append(tmp_path / name)
        train_and_evaluate(config, runs[-1], models=models)
        claim(runs[-1], 0.01)
    soup = make_soup(runs, tmp_path / "soup", models=models)
    assert len(soup.of) == 2
    trained, proof = (load_model(tmp_path / "soup" / "model.keras"), ParityRecord.load(tmp_path / "soup" / "proof.npz"))
    prepare = trained.preprocess.evaluation_transform
    images = np.stack([prepare(tf.io.decode_png(image)).numpy() for image in proof.images])
    np.testing.assert_allclose(trained.model.predict(images), proof.logits, atol=1e-4)


def test_no_soup_where_none_is_better(runs, tmp_path):
    for run in runs:
        claim(run, 1.0)
    assert make_soup(runs, tmp_path / "soup", models=ModelCache()) is None
    assert not (tmp_path / "soup").exists()


def test_a_run_that_is_not_finished_is_one_line(runs, tmp_path):
    with pytest.raises(WorkdirError, match=r"unfinished, without its result\.json"):
        make_soup([*runs, tmp_path / "unfinished"], tmp_path / "soup", models=ModelCache())
