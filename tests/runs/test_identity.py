"""Tests of tl_keras.runs.identity: what makes a run another run."""

import pytest

from tl_keras.config import TransferConfig, resolve, to_json
from tl_keras.runs.identity import affects_result, identity_differences, run_identity

SPLITS = {"train": ["a", "b"], "validation": ["c"], "test": []}


def a_config(**changes):
    config = TransferConfig(**changes)
    config.data.source, config.model.method = "digits", "feature_extraction"
    return to_json(resolve(config))


@pytest.mark.parametrize("change", [{"strategy": "cpu"}, {"export": "onnx"}, {"price_per_hour": 2.0}])
def test_hardware_exports_and_price_may_change(change):
    assert affects_result(a_config(**change)) == affects_result(a_config())


def test_what_differs_is_named():
    ours = run_identity(a_config(seed=1), "images", {**SPLITS, "test": ["d"]})
    theirs = run_identity(a_config(), "other images", SPLITS)
    assert identity_differences(ours, theirs) == ["seed: 0 there, 1 now", "the images", "which image is in which split"]
    assert identity_differences(ours, ours) == []


def test_options_that_an_older_version_lacked_have_their_defaults():
    theirs = run_identity(a_config(), "images", SPLITS)
    del theirs["config"]["data"]["background" if "background" in theirs["config"]["data"] else "mixup"]
    assert identity_differences(run_identity(a_config(), "images", SPLITS), theirs) == []
