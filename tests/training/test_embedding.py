"""Tests of tl_keras.training.embedding, with a small teacher and a run of two epochs."""

import copy
import pathlib

import numpy as np
import pytest
from PIL import Image

import tl_keras as tl
from tl_keras.config import TransferConfig
from tl_keras.data.inspection import inspect_source
from tl_keras.data.sources import open_source
from tl_keras.data.unlabelled import open_unlabelled
from tl_keras.errors import WorkdirError
from tl_keras.training.embedding import embed, embedder_of_backbone, embedder_of_run


@pytest.fixture(scope="module")
def config(tmp_path_factory, small_teacher):
    config = TransferConfig(export="none")
    config.model.backbone, config.model.method = str(small_teacher), "feature_extraction"
    config.training.epochs, config.cache.folder = 2, str(tmp_path_factory.mktemp("features"))
    folder = tmp_path_factory.mktemp("embedded") / "photos"
    for name, mean in (("red", (200, 40, 30)), ("blue", (30, 60, 210))):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.random.default_rng([*name.encode(), number]).normal(mean, 40, (24, 30, 3))
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / name / f"{number:02}.png")
    config.data.source = str(folder)
    return config


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run") / "run"
    tl.train_and_evaluate(copy.deepcopy(config), workdir)
    return workdir


def rows_on_disk(config):
    return sum(path.stat().st_size for path in pathlib.Path(config.cache.folder).glob("*/index"))


@pytest.mark.long
def test_a_run_embeds_an_unlabelled_folder_as_its_model_does_and_its_own_images_for_nothing(config, run):
    source = open_unlabelled(config.data.source)
    inspection, before = inspect_source(source), rows_on_disk(config)
    embedder = embedder_of_run(run)
    found = embed(embedder, source, inspection, np.arange(len(source)), config)
    assert rows_on_disk(config) == before > 0
    expected = tl.Run(run).embed([source.path(index) for index in range(len(source))])
    np.testing.assert_allclose(found.all(), expected, rtol=1e-4, atol=1e-5)
    assert found[np.array([3])].shape == (1, expected.shape[1]) and len(found) == 24


def test_a_backbone_embeds_the_same_and_is_told_apart(config, run):
    """Of a run with a frozen teacher the features are the teacher's; the run has a head, and is another network."""
    source = open_source(config.data.source)
    embedder, of_run = embedder_of_backbone(config.model), embedder_of_run(run)
    found = embed(embedder, source, inspect_source(source), np.arange(4), config).all()
    again = embed(of_run, source, inspect_source(source), np.arange(4), config).all()
    np.testing.assert_allclose(found, again, rtol=1e-4, atol=1e-5)
    assert embedder.identity["weights"] != of_run.identity["weights"]
    assert embedder.identity["view"] == of_run.identity["view"]


def test_without_room_or_run_the_reason_is_one_line(config, tmp_path):
    source, little = open_source(config.data.source), copy.deepcopy(config)
    little.cache.limit_gib, little.cache.folder = 1e-9, str(tmp_path / "features")
    with pytest.raises(WorkdirError, match="expected room for the features"):
        embed(embedder_of_backbone(config.model), source, inspect_source(source), np.arange(4), little)
    with pytest.raises(WorkdirError):
        embedder_of_run(tmp_path)
