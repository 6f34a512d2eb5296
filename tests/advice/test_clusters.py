"""Tests of tl_keras.advice.clusters on vectors whose clusters are known."""

import numpy as np
import pytest

from tl_keras.advice.clusters import UnitVectors, find_clusters, names_of_clusters
from tl_keras.advice.image_index import chosen_embedder, index_images
from tl_keras.config import ModelConfig
from tl_keras.data.unlabelled import open_unlabelled


def blobs(*sizes, dimension=40):
    random = np.random.default_rng(0)
    middles = np.eye(dimension)[: len(sizes)]
    rows = [random.normal(middle, 0.02, (size, dimension)) for size, middle in zip(sizes, middles, strict=True)]
    return np.concatenate(rows).astype(np.float32)


def test_clusters_come_largest_first_whatever_the_length_of_the_vectors():
    features = blobs(10, 30, 20)
    features *= np.random.default_rng(1).uniform(1, 9, (60, 1)).astype(np.float32)
    found = find_clusters(features, number=3)
    assert [set(members.tolist()) for members in found] == [{*range(10, 40)}, {*range(40, 60)}, {*range(10)}]
    np.testing.assert_allclose(np.linalg.norm(UnitVectors(features)[np.arange(5)], axis=1), 1, rtol=1e-6)


def test_the_number_is_chosen_and_every_image_is_in_one_cluster():
    found = find_clusters(blobs(40, 40, 40, 40))
    assert 4 <= len(found) <= 6  # of several numbers that are nearly as good the largest
    assert sorted(np.concatenate(found)) == [*range(160)]
    first = found[0]
    assert len({row // 40 for row in first.tolist()}) == 1


@pytest.mark.parametrize("images", [1, 3, 9])
def test_few_images_are_no_error(images):
    found = find_clusters(blobs(images))
    assert sorted(np.concatenate(found)) == [*range(images)]


@pytest.mark.slow
def test_a_run_names_clusters_by_its_classes_and_a_teacher_without_a_top_does_not(painted):
    source = open_unlabelled(painted.folder)
    for workdir, named in ((str(painted.run), True), ("", False)):
        images = index_images(source, chosen_embedder(workdir, painted.config.model), painted.config)
        names = names_of_clusters(images.embedder, images.features, [np.arange(12), np.arange(12, 24)])
        assert [bool(name) for name in names] == [named, named]
    assert all(name.endswith("%") for name in names if name)


@pytest.mark.long
def test_the_teacher_names_photos_by_its_thousand_classes(shared_data, settings, tmp_path):
    (tmp_path / "photos").mkdir()
    kept = sorted((shared_data / "imagenet_samples").glob("*.JPEG"))[:6]
    for path in kept:
        (tmp_path / "photos" / path.name).symlink_to(path)
    images = index_images(
        open_unlabelled(tmp_path / "photos"), chosen_embedder("", ModelConfig(backbone="MobileNetV2")), settings
    )
    names = names_of_clusters(images.embedder, images.features, [np.array([row]) for row in range(6)])
    named = [name.partition(" 100%")[0].replace(" ", "_").lower() for name in names]
    right = [path.stem.split("_", 2)[2].replace(" ", "_").lower() for path in kept]
    assert sum(one == other for one, other in zip(named, right, strict=True)) >= 4
