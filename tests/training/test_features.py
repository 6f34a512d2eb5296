"""Tests of tl_keras.training.features: what is cached is what would be computed."""

import json
import time

import numpy as np
import pytest

from tl_keras.config import quick_start
from tl_keras.data.arrays import ArraySource
from tl_keras.serving.model_file import load_model
from tl_keras.training.feature_cache import FeatureRows
from tl_keras.training.inputs import feature_store
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import decide, prepare


@pytest.fixture(scope="module")
def models():
    return ModelCache()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)


@pytest.fixture
def run(tmp_path, capfd, models, images, monkeypatch, small_teacher):
    """Returns a function that trains a few steps and returns the run directory and what was said of the frozen layers."""
    monkeypatch.setattr("tl_keras.console._details_shown", True)
    runs = iter(range(10))

    def run(
        *,
        images=images,
        enabled=True,
        limit_gib=1.0,
        views=0,
        method="feature_extraction",
        seed=0,
        dtype="float32",
        embedded=False,
    ):
        config = quick_start()
        if not embedded:
            config.model.backbone, config.model.weights = str(small_teacher), "imagenet"
        config.export, config.seed, config.model.method = "none", seed, method
        config.model.unfreeze = "fraction:0.7" if method == "fine_tune" else ""
        config.training.fine_tune_learning_rate_factor = 0.01
        config.training.epochs = config.training.head_epochs = 3
        config.data.train_examples_per_class = 0
        config.data.augmentation, config.data.augmented_views = "light" if views else "none", max(views, 1)
        config.cache.enabled, config.cache.folder, config.cache.limit_gib = enabled, str(tmp_path / "cache"), limit_gib
        config.cache.dtype = dtype
        workdir = tmp_path / f"run_{next(runs)}"
        source = ArraySource(images, np.arange(len(images)) % 2)
        train_and_evaluate(config, workdir, source=source, models=models)
        lines = capfd.readouterr().err.splitlines()
        return workdir, [line.partition(": ")[2] for line in lines if line.startswith("frozen layers")]

    return run


def weights(workdir):
    return load_model(workdir / "model.keras").model.get_weights()


def hash_of_weights(workdir):
    return json.loads((workdir / "result.json").read_text())["hashes"]["student_weights"]


@pytest.mark.slow
@pytest.mark.parametrize("views", [0, 2])
def test_with_and_without_the_cache_the_weights_are_the_same(run, views):
    cached, said = run(views=views, method="fine_tune", embedded=True)
    assert len([line for line in said if line.endswith("computed once")]) == 2  # at the cut of either phase
    computed, said = run(views=views, method="fine_tune", enabled=False, embedded=True)
    assert said == []
    for one, other in zip(weights(cached), weights(computed), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.long
def test_the_size_is_said_before_and_the_place_after(run, tmp_path):
    _, said = run(limit_gib=0.5, embedded=True)
    size = sum((path.stat().st_size for path in (tmp_path / "cache").glob("*/[ri]*")), 0) / 2**20
    assert said[0] == f"40 images, {size:.1f} MiB (limit 0.5 GiB), computed once"
    assert said[1].startswith(f"kept in {tmp_path}")


def test_a_second_run_computes_nothing_and_ends_alike(run):
    first, _ = run()
    second, said = run()
    assert said[0].startswith("computed before")
    assert hash_of_weights(first) == hash_of_weights(second)


def test_what_another_run_computes_meanwhile_is_not_computed_again(run, monkeypatch):
    locked = FeatureRows.locked

    def after_another_run(rows):
        monkeypatch.setattr(FeatureRows, "locked", locked)
        run()
        return locked(rows)

    monkeypatch.setattr(FeatureRows, "locked", after_another_run)
    _, said = run()
    assert len(said) == 1
    assert said[0].startswith("computed by another run meanwhile")


@pytest.fixture
def open_store(models, tmp_path):
    """Returns a function that gives the store of a run on some images, its student and the cut at the head."""

    def open_store(images):
        config = quick_start()
        config.model.method, config.model.unfreeze, config.cache.folder = (
            "feature_extraction",
            "",
            str(tmp_path / "cache"),
        )
        config.data.train_examples_per_class = 0
        source = ArraySource(images, np.arange(len(images)) % 2)
        prepared = prepare(decide(config, source=source), models, source=source)
        (phase,) = prepared.phases
        return feature_store(prepared), prepared.student, models.split(prepared.student, phase.plan)

    return open_store


@pytest.mark.long
def test_a_store_says_what_is_missing_and_what_a_row_took(open_store, images):
    store, student, cut = open_store(images)
    assert (store.missing(cut).sum(), store.count, store.keeps(cut)) == (40, 40, True)
    few = store.only(np.arange(3))
    assert few.at(student, cut) is not None
    assert not few.seconds_a_row  # a single batch, which traces
    np.testing.assert_array_equal(np.flatnonzero(store.missing(cut)[0]), np.arange(3, 40))
    began = time.perf_counter()
    store.at(student, cut)
    assert 0 < 37 * store.seconds_a_row[cut.position] < (time.perf_counter() - began) / 2  # tracing is not in it


def test_what_takes_longer_to_read_than_to_compute_is_not_kept(open_store, monkeypatch):
    monkeypatch.setattr("tl_keras.training.features._SLOW_DISK", 1.0)
    store, student, cut = open_store(np.random.default_rng(1).integers(0, 256, (130, 32, 32, 3), np.uint8))
    assert store.at(student, cut) is None


@pytest.mark.long
def test_another_seed_shares_what_evaluation_sees(run):
    run(seed=0)
    _, said = run(seed=1)
    assert said[0].startswith("computed before")


@pytest.mark.long
def test_a_changed_image_alone_is_computed_again(run, images):
    run()
    changed = images.copy()
    changed[7, 0, 0, 0] ^= 1
    _, said = run(images=changed)
    assert said[0].startswith("1 images, ")


@pytest.mark.long
def test_rows_that_no_run_needs_any_more_do_not_pass_the_limit(run, images, tmp_path):
    def size():
        return sum(path.stat().st_size for path in (tmp_path / "cache").glob("*/*") if path.parent.name != "inspected")

    run()
    changed, limit = images.copy(), size()
    changed[7, 0, 0, 0] ^= 1
    _, said = run(images=changed, limit_gib=limit / 2**30)
    assert said[0].startswith("40 images, ")
    assert size() == limit


@pytest.mark.long
def test_what_does_not_fit_is_computed_at_every_step(run):
    _, said = run(limit_gib=1e-6)
    assert len(said) == 1
    assert "more than --cache_gib=1e-06" in said[0]


@pytest.mark.slow
def test_float16_takes_half_the_room_and_ends_nearly_alike(run, tmp_path):
    exact, _ = run(embedded=True)
    rounded, said = run(dtype="float16", embedded=True)
    assert said[0].endswith("computed once")
    sizes = sorted(path.stat().st_size for path in (tmp_path / "cache").glob("*/rows"))
    assert sizes[1] == 2 * sizes[0]
    for one, other in zip(weights(exact), weights(rounded), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-2)


@pytest.mark.long
def test_a_damaged_cache_is_computed_again(run, tmp_path):
    first, _ = run()
    for rows in (tmp_path / "cache").glob("*/rows"):
        rows.write_bytes(b"\xff" * rows.stat().st_size)
    second, said = run()
    assert said[0].startswith("40 images, ")
    assert hash_of_weights(first) == hash_of_weights(second)
