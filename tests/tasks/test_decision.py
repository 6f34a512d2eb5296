"""Tests of tl_keras.tasks.decision: from a threshold on, at the least cost, or no answer at all."""

import json

import numpy as np
import pytest
import tensorflow as tf

import tl_keras
from tl_keras.config import DecisionConfig
from tl_keras.errors import ConfigError
from tl_keras.experiments.measure import as_text
from tl_keras.tasks.base import task_named
from tl_keras.tasks.decision import Decision, decision_lines
from tl_keras.tasks.single_label import SINGLE_LABEL

NAMES = ("cat", "dog", "owl")
PROBABILITIES = np.float32([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.34, 0.33, 0.33]])


def decided_labels(decision):
    """What the exported signature answers, a text for each image."""
    task = task_named("single_label").with_facts({"decision": decision.to_json()})
    return [label.decode() for label in task.answers(tf.constant(PROBABILITIES), NAMES)["label"].numpy()]


@pytest.mark.parametrize(
    ("decision", "answers"),
    [
        (Decision(), ["cat", "dog", "cat"]),
        (Decision(positive=1, threshold=0.3), ["dog", "dog", "dog"]),
        (Decision(positive=0, threshold=0.6), ["dog", "dog", "dog"]),
        (Decision(costs=((0, 1, 1), (1, 0, 1), (5, 5, 0))), ["owl", "dog", "owl"]),
        (Decision(refuse_below=0.45), ["cat", "dog", ""]),
        (Decision(positive=2, threshold=0.2, refuse_below=0.3), ["", "dog", "owl"]),
    ],
)
def test_each_rule_answers_as_it_should(decision, answers):
    assert decided_labels(Decision.from_json(json.loads(json.dumps(decision.to_json())))) == answers


def test_thresholds_are_chosen_by_what_was_not_trained_on_and_counted_as_served():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 400)
    logits = np.float32(np.eye(3)[labels] * 2 + random.normal(0, 1, (400, 3)))
    config = DecisionConfig(positive="dog", min_recall=0.9, min_accuracy=0.95)
    task = SINGLE_LABEL.with_decision(config, NAMES).with_predictions(logits, labels)
    probabilities = task.probabilities(tf.constant(logits / np.float32(task.decision.temperature))).numpy()
    measures = task.measures(probabilities, labels, NAMES)["decision"]
    assert measures["positive"]["recall"] >= 0.9
    assert measures["refusal"]["accuracy"] >= 0.95
    rows = task.rows(probabilities, NAMES, top_k=1)
    counts = task.count_answers(logits, 3)
    names = [task.names_in(row)[0] for row in rows]
    assert dict(zip(task.answer_names(NAMES), counts, strict=True)) == {n: names.count(n) for n in (*NAMES, "refused")}
    assert {row["refused"] for row in rows} == {True, False}
    assert "asked for recall 0.9" in decision_lines(measures)[0]


def test_what_cannot_be_reached_is_said():
    logits, labels = np.float32(np.eye(3)), np.arange(3)
    task = SINGLE_LABEL.with_decision(DecisionConfig(positive="owl", min_precision=0.9), NAMES)
    task = task.with_predictions(logits, labels)
    assert "no threshold promises what was asked for" in task.remarks(task.result_measures(logits, labels, NAMES))[-1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"positive": "dig"}, "Did you mean dog"),
        ({"min_recall": 0.9}, "min_recall: expected the class"),
        ({"positive": "dog", "min_recall": 0.9, "min_precision": 0.9}, "min_precision: expected one of"),
        ({"positive": "dog", "costs": "costs.csv"}, "positive: expected one of positive and costs"),
        ({"refuse_below": 0.5, "min_accuracy": 0.9}, "refuse_below: expected one of"),
    ],
)
def test_options_that_contradict_are_refused(options, said):
    config = tl_keras.TransferConfig(decision=DecisionConfig(**options))
    config.data.source = "photos"
    with pytest.raises(ConfigError, match=said):
        tl_keras.config.validate(config)
        SINGLE_LABEL.with_decision(config.decision, NAMES)


def test_other_tasks_take_no_decision():
    config = tl_keras.TransferConfig(task="multi_label", decision=DecisionConfig(refuse_below=0.5))
    config.data.source = "photos"
    with pytest.raises(ConfigError, match="Received: task multi_label"):
        tl_keras.config.validate(config)


def test_accuracy_hides_rare_classes_no_more():
    labels = np.repeat([0, 1], [50, 5])
    logits = np.float32(np.tile([1, 0], (55, 1)))
    measures = SINGLE_LABEL.result_measures(logits, labels, ("cat", "dog"))
    assert measures["balanced_accuracy"] == 0.5
    assert "mean over the classes: accuracy 0.5000" in SINGLE_LABEL.remarks(measures)[0]
    assert SINGLE_LABEL.result_measures(logits[:10], np.repeat([0, 1], 5), ("cat", "dog")) is None


@pytest.mark.slow
def test_it_goes_from_training_to_export_and_report(small_teacher, tmp_path):
    random = np.random.default_rng(0)
    labels = random.choice(3, 120, p=(0.7, 0.15, 0.15))
    images = random.integers(0, 120, (120, 20, 20, 3)) + (np.eye(3, dtype=int)[labels] * 90)[:, None, None]
    images = images.astype(np.uint8)
    config = tl_keras.TransferConfig(decision=DecisionConfig(positive="owl", min_recall=0.9, refuse_below=0.6))
    config.model.backbone, config.model.method = str(small_teacher), "feature_extraction"
    config.training.epochs, config.training.learning_rate = 20, 0.05
    source = tl_keras.ArraySource(images, labels, class_names=NAMES)
    result = tl_keras.train_and_evaluate(config, tmp_path / "run", source=source)
    assert result.measures["decision"]["positive"]["class"] == "owl"
    assert any("asked for recall 0.9" in remark for remark in result.measures["remarks"])
    by_model, by_export = (tl_keras.predict_images(tmp_path / path, images[:40]) for path in ("run", "run/saved_model"))
    assert [(row["label"], row["refused"]) for row in by_model] == [(row["label"], row["refused"]) for row in by_export]
    (path,) = (tmp_path / "run").glob("saved_model/*")
    pixels = tl_keras.predict_images(path, images[:1])[0]
    served = tf.saved_model.load(str(path)).signatures["images"](images=tf.constant(images[:1]))
    assert served["label"].numpy()[0].decode() == pixels["label"]
    assert bool(served["refused"].numpy()[0]) == pixels["refused"]
    (tmp_path / "costs.csv").write_text(",cat,dog,owl\ncat,0,1,1\ndog,1,0,1\nowl,9999,9999,0\n")
    by_costs = DecisionConfig(costs=str(tmp_path / "costs.csv"))
    metrics = tl_keras.evaluate_model(tmp_path / "run", source, decision=by_costs)
    assert metrics["decision"]["costs"]["mean_cost"] == pytest.approx(
        np.mean(labels != 2)
    )  # every image is called an owl
    assert "mean cost" in as_text(metrics)
    page = tl_keras.write_report(tmp_path / "run", source=source).read_text()
    assert '<h2 id="decision">Decision</h2>' in page
    assert "Precision by recall" in page


def test_a_threshold_near_one_is_not_rounded_to_it():
    decision = Decision(positive=1, threshold=0.9999560117721558, refuse_below=0.9999665021896362)
    said = " ".join(decision_lines(decision.measures(PROBABILITIES, np.array([0, 1, 2]), NAMES)))
    assert "dog from 0.99996 on" in said and "refused below 0.99997" in said
