"""Tests of tl_keras.training.phase_runner: where training begins, and what it leaves."""

import keras
import numpy as np
import pytest

from tl_keras.config import TransferConfig, to_json
from tl_keras.data.arrays import ArraySource
from tl_keras.errors import WorkdirError
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.stopwatch import Stopwatch
from tl_keras.training.checkpoints import values_of
from tl_keras.training.inputs import open_inputs
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.own_parts import NO_PARTS, OwnParts
from tl_keras.training.phase_runner import checkpoint_of, run_phases
from tl_keras.training.preparation import decide, prepare


@pytest.fixture
def train(small_teacher):
    """Returns a function that trains all phases in a directory and returns the run, its progress and its weights."""
    images = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), np.uint8)
    source = ArraySource(images, np.arange(24) % 2)

    def train(workdir, *, models=None, seed=0, begin=True, own_parts=NO_PARTS):
        config = TransferConfig(export="none", seed=seed)
        config.model.backbone, config.model.method, config.model.unfreeze = str(small_teacher), "fine_tune", "all"
        config.training.epochs, config.training.head_epochs, config.cache.enabled = 2, 1, False
        config.data.augmentation = "own" if own_parts.augmentation else "none"
        config = decide(config, source=source)
        prepared = prepare(config, models or ModelCache(), source=source, own_parts=own_parts)
        run = RunDirectory(workdir)
        saved = checkpoint_of(prepared, run)
        if begin:
            run.begin(
                config=to_json(prepared.config),
                data_hash=prepared.images.inspection.data_hash,
                splits=prepared.splits.to_json(prepared.source),
                labels=prepared.source.class_names,
            )
        progress = run_phases(prepared, open_inputs(prepared), run, saved=saved, stopwatch=Stopwatch())
        run.release()
        return run, progress, values_of(prepared.student.model.variables)

    return train


@pytest.mark.long
def test_a_fresh_run_trains_every_phase_and_leaves_a_checkpoint(train, tmp_path):
    run, progress, _ = train(tmp_path / "run")
    assert [epoch.phase for epoch in progress.history] == ["head", "fine-tuning", "fine-tuning"]
    assert [proof["phase"] for proof in progress.proofs] == ["head", "fine-tuning"]
    assert {"head", "fine-tuning"} <= set(progress.seconds)
    assert run.checkpoint.is_file()
    assert len((run.path / "metrics.jsonl").read_text().splitlines()) == 3


def test_what_is_trained_to_its_end_is_not_trained_on(train, tmp_path, capsys):
    _, first, weights = train(tmp_path / "run")
    _, again, same = train(tmp_path / "run")
    assert "resuming after epoch 3" in capsys.readouterr().err
    assert again.history == first.history
    for one, other in zip(weights, same, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.long
def test_a_head_of_the_same_recipe_is_not_trained_twice(train, tmp_path, capsys):
    models = ModelCache()
    _, first, weights = train(tmp_path / "one", models=models)
    _, other, same = train(tmp_path / "other", models=models)
    assert "head: as another run has trained it in 1 epoch\n" in capsys.readouterr().err
    assert [epoch.loss for epoch in other.history] == [epoch.loss for epoch in first.history]
    for one, two in zip(weights, same, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.long
def test_a_head_is_trained_with_the_callbacks_and_the_augmentation_of_its_own_run(train, tmp_path, capsys):
    models, own_parts = ModelCache(), OwnParts((keras.callbacks.Callback(),), lambda image, seed: 255 - image)
    train(tmp_path / "one", models=models, own_parts=own_parts)
    train(tmp_path / "other", models=models, own_parts=own_parts)
    assert "as another run has trained it" not in capsys.readouterr().err


def test_the_checkpoint_of_another_run_is_refused(train, tmp_path):
    run, *_ = train(tmp_path / "run")
    (run.path / "config.json").unlink()
    with pytest.raises(WorkdirError, match=r"checkpoint of another run \(.*seed: 0 there, 1 now"):
        train(tmp_path / "run", seed=1)
