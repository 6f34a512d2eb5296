"""Tests of tl_keras.runs.records on files that real runs wrote.

`golden/METHOD.*` are of version 0.1.0 on 2026-11-27; `golden/METHOD_by_COMMIT.*` were written by the code of an earlier commit.
"""

import copy
import json
import pathlib
import pickle

import pytest

from tl_keras.runs.records import EpochRecord, Record, RunResult, SoupResult

GOLDEN = pathlib.Path(__file__).parent / "golden"
TODAY = ("feature_extraction", "fine_tune")
EARLIER = ("fine_tune_by_00481ce", "fine_tune_by_c9e9e40")


def objects(name):
    """Returns each JSON object of a run's files with the record that reads it."""
    lines = (GOLDEN / f"{name}.metrics.jsonl").read_text().splitlines()
    result = json.loads((GOLDEN / f"{name}.result.json").read_text())
    return [(RunResult, result), *((EpochRecord, json.loads(line)) for line in lines)]


def result_of(name="fine_tune"):
    return objects(name)[0][1]


@pytest.mark.parametrize("name", TODAY)
def test_a_file_is_written_back_as_it_was_key_by_key(name):
    for record, values in objects(name):
        assert json.dumps(record.from_json(values).to_json()) == json.dumps(values)


@pytest.mark.parametrize("name", EARLIER)
def test_a_file_of_an_earlier_version_keeps_what_it_says_and_gets_only_what_was_not_measured(name):
    for record, values in objects(name):
        written = record.from_json(values).to_json()
        assert {key: value for key, value in written.items() if key in values} == values
        assert not any(value for key, value in written.items() if key not in values)


@pytest.mark.parametrize("name", TODAY)
def test_keys_that_this_version_does_not_know_are_kept(name):
    for record, values in objects(name):
        later = {**values, "later": [1, 2]}
        assert record.from_json(later).others == {"later": [1, 2]}
        assert record.from_json(later).to_json() == later


@pytest.mark.parametrize("name", TODAY)
def test_the_keys_of_another_score_have_its_name(name):
    for record, values in objects(name):
        renamed = json.loads(json.dumps(values).replace("accuracy", "mean_precision"))
        read = record.from_json({**renamed, "score_name": "mean_precision"})
        assert read.validation_score == read.validation_mean_precision == values["validation_accuracy"]
        assert read.to_json() == {**renamed, "score_name": "mean_precision"}
        with pytest.raises(AttributeError, match="validation_accuracy"):
            _ = read.validation_accuracy


def test_a_record_is_copied_and_sent_to_another_process_whole():
    result = RunResult.from_json(result_of())
    assert pickle.loads(pickle.dumps(result)) == copy.deepcopy(result) == result


@pytest.mark.parametrize("name", ["nothing", "accuracy_", "top_accuracy"])
def test_an_attribute_that_is_not_there_is_named(name):
    result = RunResult.from_json(result_of())
    with pytest.raises(AttributeError, match=name.replace("accuracy", "(accuracy|score)")):
        getattr(result, name)


def test_what_was_not_measured_has_no_key():
    values = {name: value for name, value in result_of().items() if not name.startswith("test_")}
    result = RunResult.from_json(values)
    assert (result.test_accuracy, result.split, result.accuracy) == (None, "validation", result.validation_accuracy)
    assert result.to_json().keys() == values.keys()


def test_the_accuracy_is_that_on_the_test_images_where_they_were_looked_at():
    result = RunResult.from_json(result_of())
    assert (result.split, result.accuracy) == ("test", result.test_accuracy)
    assert result.total_seconds == pytest.approx(49, abs=1)


def test_a_result_is_a_line_to_read_and_whether_it_was_resumed_is_not_written():
    result = RunResult.from_json(result_of())
    assert not result.resumed
    assert "resumed" not in result.to_json()
    assert repr(result) == (
        "<RunResult: test accuracy 0.8142, validation accuracy 0.8268; fine_tune of MobileNetV2, epoch 4 kept; 49 s>"
    )


@pytest.mark.parametrize(
    "record", [RunResult.from_json(result_of()), SoupResult(of=["a"], validation_score=0.5, workdir="soup")]
)
def test_an_export_replaces_the_one_at_its_path(record):
    once = record.with_export({"path": "onnx/1", "megabytes": 2.0})
    twice = once.with_export({"path": "onnx/1", "megabytes": 3.0})
    assert [row["megabytes"] for row in twice.export if row["path"] == "onnx/1"] == [3.0]
    assert len(twice.export) == len(once.export) == len(record.export or []) + 1
    assert type(record).from_json(twice.to_json()) == twice


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"validation_accuracy": "0.5"}, "validation_accuracy is '0.5'"),
        ({"validation_accuracy": None}, "validation_accuracy is 'None'"),
        ({"kept_epoch": True}, "kept_epoch is 'True'"),
        ({"kept_epoch": 1.5}, "kept_epoch is '1.5'"),
        ({"seconds": [1, 2]}, "seconds is '[1, 2]'"),
        ({"seconds": {"head": "long"}}, "seconds is"),
        ({"export": ["saved_model"]}, "export is"),
        ({"fine_tuning_undone": 1}, "fine_tuning_undone is '1'"),
        ({"hashes": None}, "hashes is 'None'"),
    ],
)
def test_a_value_of_another_type_is_named(changes, said):
    with pytest.raises(ValueError) as raised:
        RunResult.from_json({**result_of(), **changes})
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("record", [RunResult, EpochRecord, SoupResult])
@pytest.mark.parametrize(("values", "said"), [([], "no JSON object"), ({}, "JSON without"), (None, "no JSON object")])
def test_what_is_no_record_is_said(record: type[Record], values, said):
    with pytest.raises(ValueError, match=said):
        record.from_json(values)


def test_whole_numbers_are_numbers():
    assert RunResult.from_json({**result_of(), "loss": 0, "seconds": {"head": 1}}).total_seconds == 1
