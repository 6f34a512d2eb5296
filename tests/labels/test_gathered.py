"""Tests of tl_keras.labels.gathered."""

import copy
import dataclasses
import json
import shutil
import types

import numpy as np
import pytest

import tl_keras as tl
from tl_keras.errors import DataError
from tl_keras.labels.gathered import _outliers, gather_for_run


@pytest.mark.slow
def test_a_run_gathers_new_images_without_copies_and_what_it_knows(labelling):
    found = gather_for_run(labelling.run, labelling.config)
    assert (len(found.unlabelled.indices), found.copies, found.known) == (30, 1, 1)
    assert len(found.labelled.indices) == 36 and found.class_names == ("blue", "green", "red")
    ids = [found.unlabelled.source.ids[index] for index in found.unlabelled.indices]
    assert "known.png" not in ids and ("again.png" in ids) != ("deep/blue_14.png" in ids)
    rows = tl.Run(labelling.run).predict([labelling.unlabelled / each for each in ids])
    np.testing.assert_allclose(found.probabilities.max(axis=1), [row["score"] for row in rows], atol=1e-3)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-4)


def test_images_that_are_trained_on_and_validated_on_count_once(labelling, tmp_path):
    run = tmp_path / "run"  # as the final run of folds leaves it
    shutil.copytree(labelling.run, run)
    splits = json.loads((run / "splits.json").read_text())
    labelled = sorted(splits["train"] + splits["validation"])
    (run / "splits.json").write_text(json.dumps(splits | {"train": labelled, "validation": labelled}))
    found = gather_for_run(run, labelling.config)
    assert len(found.labelled.indices) == len(np.unique(found.labelled.indices)) == len(labelled) + len(splits["test"])


@pytest.mark.long
def test_images_are_read_as_the_run_read_them(labelling, tmp_path):
    shutil.copytree(labelling.run, tmp_path / "run")
    begun = json.loads((tmp_path / "run" / "config.json").read_text())
    begun["config"]["model"]["significant_bits"], begun["config"]["data"]["max_pixels"] = 12, 40 * 40
    (tmp_path / "run" / "config.json").write_text(json.dumps(begun))
    found = gather_for_run(tmp_path / "run", labelling.config)
    assert found.config.model.significant_bits == 12 and found.config.data.max_pixels == 1600
    assert found.config.data.source == labelling.config.data.source
    larger = dataclasses.replace(labelling.config.data, max_pixels=60_000_000)
    found = gather_for_run(tmp_path / "run", dataclasses.replace(labelling.config, data=larger))
    assert found.config.data.max_pixels == 60_000_000  # as who was told of images that are too large asks for


def test_what_is_unlike_the_rest_is_apart():
    features = np.abs(np.random.default_rng(0).normal(size=(200, 40))).astype(np.float32)
    features[7] = np.eye(40)[3]
    assert _outliers(types.SimpleNamespace(trained=None), features, None, seed=0)[:1].tolist() == [7]


def test_where_everything_is_labelled_it_says_so(labelling):
    config = copy.deepcopy(labelling.config)
    config.data.source = str(labelling.labelled)
    with pytest.raises(DataError, match="36 are labelled"):
        gather_for_run(labelling.run, config)


def test_a_run_of_another_task_is_refused(labelling, monkeypatch):
    class Kind:
        kind = "numbers"

    monkeypatch.setattr("tl_keras.data.base.Source.labelling", Kind())
    with pytest.raises(DataError, match="expected a run of one class per image"):
        gather_for_run(labelling.run, labelling.config)
