"""Tests of tl_keras.experiments.comparison."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
from golden_results import golden_result

from tl_keras.config import quick_start
from tl_keras.errors import ConfigError
from tl_keras.experiments.comparison import (
    Row,
    compare,
    cut_variants,
    directory_name,
    method_variants,
    table,
    what_next,
)


def a_row(name, validation, test=None):
    reached = [{"seconds": 0.5, "validation_accuracy": 0.25}, {"seconds": 2.9, "validation_accuracy": 0.75}]
    images = {"validation": 100, "test": 100}
    results = (
        golden_result(time_to_score=reached[:1], seconds={"head": 1.0}, images=images),
        golden_result(time_to_score=reached, seconds={"head": 3.0}, images=images),
    )
    return Row(name, (pathlib.Path("a"),), np.array(validation), test, np.array([1.0, 3.0]), 12345, results)


def test_the_table_has_a_row_a_variant_with_its_spread():
    lines = table((a_row("fine_tune", [0.5, 0.7], np.array([0.4, 0.4])),), heading="method").splitlines()
    assert lines[0].split() == [
        "method",
        "validation",
        "accuracy",
        "test",
        "accuracy",
        "validation",
        "by",
        "1",
        "s",
        "seconds",
        "parameters",
        "trained",
    ]
    assert lines[1].split() == [
        *["fine_tune", "0.600", "±", "0.141", "0.400", "±", "0.000"],
        *["0.250", "±", "0.000", "2.0*", "12,345"],  # the second run reached 0.75 after the first was over
    ]
    assert lines[-1].startswith("* accuracy still rose")


def test_where_a_run_had_no_score_when_the_fastest_was_over_there_is_a_dash():
    row = a_row("fine_tune", [0.5, 0.7])
    slow = dataclasses.replace(row.results[1], time_to_score=[{"seconds": 2.0, "validation_accuracy": 0.4}])
    shown = table((dataclasses.replace(row, results=(row.results[0], slow)),), heading="method").splitlines()[1]
    assert shown.split() == ["fine_tune", "0.600", "±", "0.141", "-", "2.0", "12,345"]


def test_two_variants_in_one_directory_are_refused_before_anything_is_trained(tmp_path):
    variants = cut_variants(quick_start(), unfreeze=["regex:block_1[0-9]", "regex:block_1(0-9)"])
    with pytest.raises(ConfigError, match=r"both in regex_block_1_0-9_\. Leave one"):
        compare(variants, tmp_path, seeds=1)


def test_without_test_accuracies_there_is_no_column_for_them():
    assert "test" not in table((a_row("none", [0.5]),), heading="unfreeze")


def test_the_methods_differ_in_what_the_method_decides():
    config = quick_start()
    config.model.unfreeze = "blocks:2"
    variants = {variant.name: variant.config.model for variant in method_variants(config)}
    assert {name: model.unfreeze for name, model in variants.items()} == {
        "replicate": "",
        "feature_extraction": "",
        "fine_tune": "blocks:2",
    }


def test_cuts_and_rates_are_crossed():
    variants = cut_variants(quick_start(), unfreeze=["none", "blocks:1"], learning_rates=[0.1, 0.01])
    assert [variant.name for variant in variants] == [
        "none at 0.1",
        "none at 0.01",
        "blocks:1 at 0.1",
        "blocks:1 at 0.01",
    ]
    assert [variant.config.model.method for variant in variants] == ["feature_extraction"] * 2 + ["fine_tune"] * 2


def test_the_end_says_which_run_is_best_which_is_exported_and_what_is_next(tmp_path):
    rows = []
    for name, score, export in (("fine_tune", 0.97, [{"path": "saved_model/1"}]), ("feature_extraction", 1.0, [])):
        result = golden_result(validation_score=score, export=export)
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(json.dumps(result.to_json()))
        rows.append(Row(name, (tmp_path / name,), np.array([score]), None, np.ones(1), 10, (result,)))
    best, following = what_next(rows).splitlines()
    assert best == "best by validation accuracy: feature_extraction, 1.0000; exported: fine_tune"
    assert following.endswith(f"tl_keras.export --workdir={tmp_path}/feature_extraction --format=saved_model")
    assert what_next(rows[:1]).splitlines()[1].endswith(f"tl_keras.predict --model={tmp_path}/fine_tune PHOTO")


def test_a_name_becomes_a_directory_on_every_system():
    assert directory_name("regex:^block_(9|12) at 0.01") == "regex_block__9_12_at_0.01"


@pytest.mark.slow
def test_the_embedded_teacher_beats_training_from_scratch_over_five_seeds(tmp_path):
    rows = {row.name: row for row in compare(method_variants(quick_start()), tmp_path, seeds=5, processes=2)}
    for method in ("feature_extraction", "fine_tune"):
        assert rows[method].test.min() > rows["replicate"].test.max() + 0.2
