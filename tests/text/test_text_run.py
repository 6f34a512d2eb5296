"""Texts go through the same house: read, trained by each method, exported, predicted, reported."""

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

import tl_keras
from tests.text.tiny_bert import write_tiny_bert
from tl_keras.data.sources import open_source
from tl_keras.errors import DataError
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.runtime_check import open_saved_model
from tl_keras.text.tokenizing import TextPreprocess
from tl_keras.training.loaded_run import load_run
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import decide

pytest.importorskip("tokenizers")

PLACES = ["river", "lake", "city", "paris"]
ANIMALS = ["dog", "cat", "animal", "cats"]
ODD = ["", "中 WHERE is Paris?", "a" * 10_000, b"\xff cat"]


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("questions")
    rows = ["text,label,split"]
    for number in range(48):
        split = ("train", "train", "validation", "test")[number % 4]
        rows.append(f'"where is the {PLACES[number % 4]} {number}, {"tall " * (number % 3)}",place,{split}')
        rows.append(f"who is the {ANIMALS[number // 2 % 4]} of {number}?,animal,{split}")
    (folder / "questions.csv").write_text("\n".join([*rows, '" ",animal,train']) + "\n", encoding="utf-8")
    return f"csv:{folder / 'questions.csv'}"


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return str(write_tiny_bert(tmp_path_factory.mktemp("teachers") / "bert"))


def config_for(questions, teacher, tmp_path, method, **fields):
    config = tl_keras.TransferConfig(export="none", **fields)
    config.data.source, config.model.backbone, config.model.method = questions, teacher, method
    config.cache.folder = str(tmp_path / "cache")
    config.training.epochs = 3
    if method == "fine_tune":
        config.model.unfreeze, config.training.head_epochs = "blocks:1", 1
    return config


@pytest.fixture(scope="module")
def finished(questions, teacher, tmp_path_factory):
    """Returns the directory of a run with frozen layers, exported, and its result."""
    folder = tmp_path_factory.mktemp("run")
    config = config_for(questions, teacher, folder, "feature_extraction")
    config.export = "saved_model"
    config.training.epochs, config.training.learning_rate = 40, 0.1
    return folder / "run", tl_keras.train_and_evaluate(config, folder / "run")


def test_a_head_on_the_frozen_encoder_tells_places_from_animals(finished):
    run, result = finished
    assert result.test_accuracy > 0.8
    assert result.backbone == "bert"
    assert result.images == {"train": 48, "validation": 24, "test": 24}
    begun = json.loads((run / "config.json").read_text())["config"]
    assert (begun["model"]["max_tokens"], begun["data"]["augmentation"]) == (16, "none")


def test_the_export_takes_strings_and_is_proven(finished):
    run, result = finished
    (export,) = result.export
    assert export["images_compared"] == 24
    assert export["largest_logit_difference"] < 1e-4
    loaded = open_saved_model(str(run / export["path"]))
    served = loaded.signatures["serving_default"](text=tf.constant(["where is the lake?", *ODD]))
    assert served["label"][0].numpy().decode() == "place"
    assert np.isfinite(served["probabilities"]).all()
    preprocess = TextPreprocess.from_json(
        json.loads((run / export["path"] / "assets.extra" / "tl_keras.json").read_text())["preprocess"]
    )
    by_tokens = loaded.signatures["tokens"](tokens=tf.constant(preprocess.ids(["where is the lake?", *ODD])))
    np.testing.assert_allclose(by_tokens["probabilities"], served["probabilities"], atol=1e-6)


@pytest.mark.parametrize("of", ["", "saved_model"])
def test_texts_are_predicted_from_the_run_and_its_export(finished, of):
    rows = tl_keras.predict_images(finished[0] / of, ["where is the lake?", "who is the cat?", ""], top_k=2)
    assert [row["label"] for row in rows[:2]] == ["place", "animal"]
    assert rows[0]["text"] == "where is the lake?"
    assert [len(row["top_k"]) for row in rows] == [2, 2, 2]


def test_a_model_is_evaluated_on_texts(finished, questions):
    run, result = finished
    assert tl_keras.evaluate_model(run, questions)["accuracy"] == pytest.approx(result.test_accuracy)


@pytest.fixture(scope="module")
def port(finished):
    """Returns the port of a server of the run."""
    pytest.importorskip("starlette", reason="pip install 'tl_keras[serve]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tl_keras.serve", f"--workdir={finished[0]}", "--name=run", f"--port={port}"]
    with subprocess.Popen(command) as process:
        try:
            while process.poll() is None:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.1)
            yield port
        finally:
            process.terminate()


def answered(port, body):
    """Returns the status and the answer of a request."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("POST", "/v1/models/run:predict", json.dumps(body))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_the_server_takes_strings(port):
    _, found = answered(port, {"instances": ["where is the lake?", {"text": "who is the cat?"}, ""]})
    assert [answer["label"] for answer in found["predictions"]][:2] == ["place", "animal"]


@pytest.mark.parametrize("given", [3, None, {"b64": "eA=="}])
def test_the_server_refuses_what_is_no_text(port, given):
    status, found = answered(port, {"instances": [given]})
    assert status == 400
    assert found["error"].startswith('request: expected {"instances": ["..."]}')


def test_commands_that_judge_images_say_so(finished, questions):
    from tl_keras.advice.data_report import inspect_closely
    from tl_keras.serving.monitoring import compare_images

    config = tl_keras.TransferConfig()
    for call in (
        lambda: inspect_closely(open_source(questions), None, config),
        lambda: compare_images(finished[0], "folder"),
        lambda: tl_keras.audit_run(finished[0]),
    ):
        with pytest.raises(DataError, match=r"expected images\. Received: texts"):
            call()


def test_the_page_shows_texts(finished):
    page = tl_keras.write_report(finished[0]).read_text(encoding="utf-8")
    assert "where is the" in page


def test_a_finished_run_is_opened_again(finished):
    run, result = finished
    loaded = load_run(run, ModelCache())
    assert loaded.score(loaded.prepared.splits.test) == pytest.approx(result.test_accuracy)


@pytest.mark.parametrize("method", ["fine_tune", "replicate"])
def test_layers_of_the_encoder_train(questions, teacher, tmp_path, method):
    config = config_for(questions, teacher, tmp_path, method)
    result = tl_keras.train_and_evaluate(config, tmp_path / "run")
    assert result.method == method
    trained = result.parameters_trained
    assert trained > (0 if method == "fine_tune" else result.parameters_frozen)


def test_a_run_on_images_imports_nothing_of_it():
    code = (
        "import sys, tl_keras.train, tl_keras.training.loop, tl_keras.serving.predictor, tl_keras.reporting.run_report\n"
        "from tl_keras.training.preparation import decide, prepare\n"
        "from tl_keras.training.model_cache import ModelCache\n"
        "prepare(decide(__import__('tl_keras').quick_start()), ModelCache())\n"
        "print([name for name in sys.modules if name.startswith(('tl_keras.text', 'tokenizers')) or 'text_table' in name])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip().splitlines()[-1] == "[]"


def test_the_lengths_of_a_begun_run_stay(finished, questions, teacher, tmp_path):
    config = config_for(questions, teacher, tmp_path, "feature_extraction")
    assert decide(config, run=RunDirectory(finished[0])).model.max_tokens == 16
