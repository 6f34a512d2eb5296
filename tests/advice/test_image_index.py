"""Tests of tl_keras.advice.image_index, with a small teacher and the run of it."""

import dataclasses

import numpy as np
import pytest

import tl_keras as tl
from tl_keras.advice.image_index import (
    chosen_embedder,
    embedder_for,
    index_images,
    remarks,
    write_images,
)
from tl_keras.data.unlabelled import open_unlabelled
from tl_keras.errors import DataError, TransferError
from tl_keras.search.index import read_index
from tl_keras.serving.predictor import embed_images


@pytest.fixture(scope="module")
def by_run(painted, tmp_path_factory):
    """The index of a folder by a run."""
    path = tmp_path_factory.mktemp("index") / "features.npz"
    images = index_images(
        open_unlabelled(painted.folder), chosen_embedder(str(painted.run), painted.config.model), painted.config
    )
    assert any("cannot be decoded" in remark for remark in remarks(images))
    write_images(images, path, workdir=str(painted.run), config=painted.config.model)
    return path


@pytest.mark.long
def test_the_index_has_the_numbers_of_run_embed_with_names_sizes_and_what_was_left_out(painted, by_run):
    index = read_index(by_run)
    assert list(index.names) == [f"{name}/{n:02}.png" for name in ("blue", "red") for n in range(12)]
    assert index.sizes.tolist() == [[24, 30]] * 24
    assert len(index.about["left_out"]) == 1 and "damaged.png" in index.about["left_out"][0]
    assert index.about["source"] == str(painted.folder)
    expected = tl.Run(painted.run).embed([painted.folder / name for name in index.names])
    np.testing.assert_allclose(index.features, expected, rtol=1e-4, atol=1e-5)


def test_a_query_is_embedded_by_the_remembered_run_and_another_network_is_refused(painted, by_run, tmp_path):
    index = read_index(by_run)
    found = embed_images(embedder_for(index), painted.folder / "red" / "03.png")
    np.testing.assert_allclose(found[0], index.features[15], rtol=1e-4, atol=1e-5)
    with pytest.raises(DataError, match=r"index: expected a query by .* which has another weights\. Make the index"):
        embedder_for(index, backbone=str(painted.teacher))
    gone = dataclasses.replace(index, about={**index.about, "made_with": {"workdir": str(tmp_path)}})
    with pytest.raises(TransferError):
        embedder_for(gone)
    assert embedder_for(gone, workdir=str(painted.run)).name  # where the run has moved


def test_a_backbone_is_opened_again_with_its_view(painted, tmp_path):
    config = painted.config.model
    images = index_images(open_unlabelled(painted.folder), chosen_embedder("", config), painted.config)
    write_images(images, tmp_path / "features.npz", workdir="", config=config)
    index = read_index(tmp_path / "features.npz")
    assert embedder_for(index).identity == images.embedder.identity
    for made_with in ({}, {"backbone": str(painted.teacher), "resize": "no such way"}):
        other = dataclasses.replace(index, about={**index.about, "made_with": made_with})
        with pytest.raises(TransferError):
            embedder_for(other)
