"""Tests of tl_keras.training.preparation: a run is decided as a whole, and nothing is written."""

import numpy as np
import pytest

from tl_keras.backbones.weights import fingerprint
from tl_keras.config import TransferConfig, from_json, to_json
from tl_keras.data.arrays import ArraySource
from tl_keras.errors import BackboneError, ConfigError
from tl_keras.runs.directory import RunDirectory
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import decide, prepare, read_images


@pytest.fixture(scope="module")
def models():
    return ModelCache()


@pytest.fixture(scope="module")
def source():
    images = np.random.default_rng(0).integers(0, 256, (40, 20, 24, 3), np.uint8)
    return ArraySource(images, np.arange(40) % 2)


@pytest.fixture
def config(small_teacher):
    config = TransferConfig(export="none")
    config.model.backbone, config.model.method = str(small_teacher), "fine_tune"
    config.model.unfreeze, config.cache.enabled = "all", False
    return config


def test_nothing_is_left_open(config, models, source):
    prepared = prepare(decide(config, source=source), models, source=source)
    decided = to_json(prepared.config)
    assert decided["data"]["horizontal_flip"] in ("on", "off")
    assert (decided["strategy"], decided["precision"]) == ("cpu", "float32")
    assert decided["training"]["epochs"] >= 10
    assert decided["training"]["head_epochs"] >= 10
    assert decided["model"]["image_size"] == 16
    assert [phase.name for phase in prepared.phases] == ["head", "fine-tuning"]


def test_the_users_config_is_not_changed(config, models, source):
    before = to_json(config)
    prepare(decide(config, source=source), models, source=source)
    assert to_json(config) == before


def test_what_was_decided_is_decided_again(config, models, source):
    once = prepare(decide(config, source=source), models, source=source)
    again = prepare(decide(once.config), models, images=once.images)
    assert to_json(again.config) == to_json(once.config)
    assert again.identity == once.identity
    assert again.student.model is once.student.model


def test_random_weights_are_the_same_whether_the_images_decide_or_the_config_does(config, source):
    config.model.method, config.data.augmentation = "replicate", "light"
    decided = prepare(decide(config, source=source), ModelCache(), source=source)
    assert "the teacher's features" in decided.reasons[0]
    again = prepare(decide(decided.config), ModelCache(), images=decided.images)
    assert not again.reasons
    assert fingerprint(again.student.model) == fingerprint(decided.student.model)


def test_the_splits_that_a_run_was_begun_with_stay(config, models, source, tmp_path):
    prepared = prepare(decide(config, source=source), models, source=source)
    splits = prepared.splits.to_json(source)
    splits["train"], splits["validation"] = splits["train"][:-1], [*splits["validation"], splits["train"][-1]]
    run = RunDirectory(tmp_path / "run")
    run.begin(
        config=to_json(prepared.config),
        data_hash=prepared.images.inspection.data_hash,
        splits=splits,
        labels=source.class_names,
    )
    found = read_images(prepared.config, models, source=source, run=run).splits.to_json(source)
    assert found["train"] == splits["train"]


def test_nothing_is_written(config, models, source, tmp_path):
    run = RunDirectory(tmp_path / "run")
    prepare(decide(config, source=source, run=run), models, source=source, run=run)
    assert not run.path.exists()


def test_classes_weigh_in_the_loss_where_that_is_asked_for(config, models):
    uneven = ArraySource(np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8), np.arange(40) % 4 // 3)
    assert prepare(decide(config, source=uneven), models, source=uneven).loss.weights is None
    config.training.class_weights = "balanced"
    weights = prepare(decide(config, source=uneven), models, source=uneven).loss.weights
    assert weights[1] == pytest.approx(3 * weights[0], rel=0.05)


def test_the_recipe_of_a_head_knows_nothing_of_the_cut_behind_it(config, models, source):
    config.training.epochs = config.training.head_epochs = 2
    recipes = []
    for config.model.unfreeze, config.training.head_epochs in (("all", 2), ("layers:1", 2), ("all", 3)):
        recipes.append(prepare(decide(config, source=source), models, source=source).head_recipe())
    assert recipes[0] == recipes[1] != recipes[2]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"image_size": 17}, BackboneError),
        ({"backbone": "MobileNetV9"}, BackboneError),
        ({"dropout": 2.0}, ConfigError),
    ],
)
def test_what_cannot_work_is_refused_before_an_image_is_read(config, change, error):
    for name, value in change.items():
        setattr(config.model, name, value)
    config.data.source = "digits"
    with pytest.raises(error):
        decide(config)


@pytest.mark.parametrize("begun", ["auto", "off"])
def test_whether_a_run_trains_again_stays(config, source, tmp_path, begun):
    run = RunDirectory(tmp_path / "run")
    first = from_json(to_json(config))
    first.training.refit = begun
    splits = {"train": ["a"], "validation": ["b"], "test": []}
    run.begin(config=to_json(decide(first, source=source)), data_hash="0", splits=splits, labels=("cat", "dog"))
    assert decide(config, source=source, run=run).training.refit == begun


def test_a_run_that_was_begun_with_crops_goes_on_with_them(config, source, tmp_path):
    run = RunDirectory(tmp_path / "run")
    config.data.augmentation, config.model.pooling = "light", "max"
    first = decide(config, source=source)
    assert first.data.min_crop_area == 1.0
    first.data.min_crop_area = 0.5  # as an earlier version decided
    splits = {"train": ["a"], "validation": ["b"], "test": []}
    run.begin(config=to_json(first), data_hash="0", splits=splits, labels=("cat", "dog"))
    assert decide(config, source=source, run=run).data.min_crop_area == 0.5


def test_groups_stay_in_one_split_and_are_said(config, models):
    images = np.random.default_rng(1).integers(0, 256, (80, 20, 24, 3), np.uint8)
    groups = np.arange(80) // 4
    source = ArraySource(images, np.arange(80) % 2, groups=groups)
    prepared = prepare(decide(config, source=source), models, source=source)
    parts = [set(groups[part]) for part in (prepared.splits.train, prepared.splits.validation, prepared.splits.test)]
    assert sum(map(len, parts)) == 20 == len(set.union(*parts))
    assert "groups from groups: 20, each in one split as a whole" in prepared.remarks
