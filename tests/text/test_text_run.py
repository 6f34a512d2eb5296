"""Texts go through the same house: read, trained by each method, exported, predicted, reported."""

import contextlib
import http.client
import json
import urllib.parse

import numpy as np
import pytest
import tensorflow as tf
from forked_commands import FORKED, call_of_command, run_command

import tl_keras
from tests.text.tiny_bert import write_tiny_bert
from tl_keras.advice.advisor import advise, describe
from tl_keras.advice.automatic import with_decisions
from tl_keras.advice.candidates import Candidate
from tl_keras.errors import DataError
from tl_keras.experiments.measure import as_text
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.runtime_check import open_saved_model
from tl_keras.text.tokenizing import TextPreprocess
from tl_keras.training.announcement import announcement
from tl_keras.training.loaded_run import load_run
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import decide, prepare

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


@pytest.mark.slow
def test_a_head_on_the_frozen_encoder_tells_places_from_animals(finished):
    run, result = finished
    assert result.test_accuracy > 0.8
    assert result.backbone == "bert"
    assert result.images == {"train": 48, "validation": 24, "test": 24}
    begun = json.loads((run / "config.json").read_text())["config"]
    assert (begun["model"]["max_tokens"], begun["data"]["augmentation"]) == (16, "none")


def test_epochs_that_nobody_chose_are_no_caution(questions, teacher, tmp_path):
    config = config_for(questions, teacher, tmp_path, "fine_tune")
    config.training.epochs, config.training.head_epochs = 0, 500
    prepared = prepare(decide(config), ModelCache())
    assert prepared.config.training.epochs == 100  # what makes 200 steps of 48 texts
    assert "--epochs" not in announcement(prepared)


def test_the_next_steps_are_about_texts(finished):
    run, result = finished
    assert result.noun == "text"
    said = call_of_command("train", "summary", result, str(run))
    assert said.splitlines()[-1].endswith(f'tl_keras.predict --model={run} "A TEXT"')
    assert f"of the test texts {result.interval[0]:.3f}" in said


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


def test_a_text_that_is_the_name_of_a_folder_is_a_text(finished, tmp_path, monkeypatch):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.jpg").write_text("")
    monkeypatch.chdir(tmp_path)
    process = run_command("predict", f"--model={finished[0]}", "--format=jsonl", "cat", "cat")
    assert [json.loads(line)["text"] for line in process.stdout.splitlines()] == ["cat", "cat"]


def test_texts_are_not_answered_into_a_file(finished, tmp_path):
    process = run_command("predict", f"--model={finished[0]}", f"--out={tmp_path / 'a.csv'}", "where is the lake?")
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith("error: out: expected a model of images. Received: one of texts.")


def test_a_model_is_evaluated_on_texts(finished, questions):
    run, result = finished
    metrics = tl_keras.evaluate_model(run, questions)
    assert metrics["accuracy"] == pytest.approx(result.test_accuracy)
    assert "(24 texts, split test)" in as_text(metrics).splitlines()[0]


@pytest.fixture(scope="module")
def port(finished, served):
    """Returns the port of a server of the run's export."""
    pytest.importorskip("starlette", reason="pip install 'tl_keras[serve]'")
    from tl_keras.serving.server import Limits, make_app

    with served(make_app(finished[0] / "saved_model", name="run", limits=Limits())) as address:
        yield urllib.parse.urlsplit(address).port


def answered(port, body):
    """Returns the status and the answer of a request."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("POST", "/v1/models/run:predict", json.dumps(body))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.mark.long
def test_the_server_takes_strings(port):
    _, found = answered(port, {"instances": ["where is the lake?", {"text": "who is the cat?"}, ""]})
    assert [answer["label"] for answer in found["predictions"]][:2] == ["place", "animal"]


@pytest.mark.parametrize("given", [3, None, {"b64": "eA=="}])
def test_the_server_refuses_what_is_no_text(port, given):
    status, found = answered(port, {"instances": [given]})
    assert status == 400
    assert found["error"].startswith('request: expected {"instances": ["..."]}')


def test_new_texts_are_compared_with_those_of_training(finished, tmp_path):
    from tl_keras.serving.monitoring import compare_images

    (tmp_path / "new.txt").write_text("where is the lake 3, tall\nwho is the dog of 5?\n" * 20)
    report = compare_images(finished[0], tmp_path / "new.txt")
    assert (report["noun"], report["images"], report["undecodable"]) == ("text", 40, 0)
    assert {row["label"]: row["share"] for row in report["labels"]} == {"animal": 0.5, "place": 0.5}
    assert "image" not in report["verdict"]


def test_an_audit_spells_texts_otherwise(finished):
    audit = tl_keras.audit_run(finished[0], images=20)
    of = {(row.name, row.strength): row for row in audit.conditions}
    assert (audit.noun, audit.images, audit.mimicry) == ("text", 20, ())
    # The tiny tokenizer knows small letters alone, as BERT's uncased one does: case changes nothing.
    assert of["capitals only", 1].unchanged == 1.0
    assert of["keys beside the right ones", 1.0].accuracy < audit.accuracy
    assert of["negation", 1].kind == "meaning"
    assert audit.advice.endswith(".") and "photo" not in audit.advice


def test_the_page_shows_texts(finished):
    page = tl_keras.write_report(finished[0]).read_text(encoding="utf-8")
    assert "where is the" in page and '<mark class="for"' in page


def test_a_finished_run_is_opened_again(finished):
    run, result = finished
    loaded = load_run(run, ModelCache())
    assert loaded.score(loaded.prepared.splits.test, task=loaded.answering) == pytest.approx(result.test_accuracy)


def test_advice_names_method_and_cut_and_counts_texts(questions, teacher, tmp_path):
    config = config_for(questions, teacher, tmp_path, "fine_tune")
    advice = advise(config, [Candidate(teacher)], try_recipes=True)
    assert {option.unfreeze for option in advice.options} == {"none", "fraction:0.7"}
    said = describe(advice)
    assert said.startswith("used 48 training texts, in ")
    assert "the first 16 are read" in said
    of_texts = said.rpartition("\n\n")[0].replace(teacher, "")
    assert not any(word in of_texts for word in ("image", " px", "augmentation", "LEEP"))
    assert f"backbone={teacher}" in advice.recommendation.command
    # What the command leaves out is decided again as it was here.
    again = decide(advice.recommendation.config)
    assert (
        again.training.fine_tune_learning_rate_factor
        == advice.recommendation.config.training.fine_tune_learning_rate_factor
    )


def test_texts_decide_the_method(questions, teacher, tmp_path):
    config = config_for(questions, teacher, tmp_path, "auto")
    config.training.epochs, config.model.unfreeze = 0, ""
    decided = with_decisions(config, tmp_path / "run")
    assert decided.model.method in ("feature_extraction", "fine_tune")
    assert decided.model.backbone == teacher
    config.model.backbone, config.model.resize = "MobileNetV2", "auto"
    config.model.method = "fine_tune"
    with pytest.raises(DataError, match=r"resize auto: expected images\. Received: texts"):
        with_decisions(config, tmp_path / "other")


@pytest.mark.long
@pytest.mark.parametrize("method", ["fine_tune", "replicate"])
def test_layers_of_the_encoder_train(questions, teacher, tmp_path, method):
    config = config_for(questions, teacher, tmp_path, method)
    result = tl_keras.train_and_evaluate(config, tmp_path / "run")
    assert result.method == method
    trained = result.parameters_trained
    assert trained > (0 if method == "fine_tune" else result.parameters_frozen)


# In a process that was forked before anything of texts was imported.
OF_TEXTS = """
import sys, tl_keras, tl_keras.train, tl_keras.serving.predictor, tl_keras.reporting.run_report
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import decide, prepare

prepare(decide(tl_keras.quick_start()), ModelCache())
with open({file!r}, "w") as file:
    print([name for name in sys.modules if name.startswith(("tl_keras.text", "tokenizers")) or "text_table" in name], file=file)
"""


def test_a_run_on_images_imports_nothing_of_it(tmp_path):
    with FORKED.Pool(1) as pool:
        pool.apply(exec, (OF_TEXTS.format(file=str(tmp_path / "modules")), {}))
    assert (tmp_path / "modules").read_text() == "[]\n"


def test_a_run_whose_epochs_were_left_open_goes_on(questions, teacher, tmp_path):
    config, run = config_for(questions, teacher, tmp_path, "fine_tune"), RunDirectory(tmp_path / "run")
    config.training.epochs = 0
    prepared = prepare(decide(config), ModelCache())
    splits = {"train": ["line:2"], "validation": [], "test": []}
    run.begin(config=tl_keras.config.to_json(prepared.config), data_hash="0", splits=splits, labels=("animal", "place"))
    assert run.continued(decide(config, run=run)).training.epochs == prepared.config.training.epochs == 100


def test_the_lengths_of_a_begun_run_stay(finished, questions, teacher, tmp_path):
    config = config_for(questions, teacher, tmp_path, "feature_extraction")
    assert decide(config, run=RunDirectory(finished[0])).model.max_tokens == 16
