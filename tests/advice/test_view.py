"""Tests of tl_keras.advice.view: the training images choose how images become square."""

import numpy as np
import pytest

from tl_keras.advice.advisor import advise
from tl_keras.advice.automatic import with_decisions
from tl_keras.advice.candidates import Candidate
from tl_keras.advice.view import with_measured_view
from tl_keras.config import DEFAULT_RESIZE, TransferConfig, validate
from tl_keras.errors import ConfigError
from tl_keras.training.loop import train_and_evaluate


@pytest.fixture
def strips(small_teacher, write_strips, cache):
    config = TransferConfig(export="none")
    config.data.source, config.cache.folder = str(write_strips), str(cache)
    config.model.backbone, config.model.method, config.training.epochs = str(small_teacher), "feature_extraction", 1
    return config


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Where a test finds what the one before it has computed."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def write_strips(tmp_path_factory):
    """Images of three to one, random in the middle, whose ends are bright in one class and dark in the other."""
    from PIL import Image

    random, folder = np.random.default_rng(0), tmp_path_factory.mktemp("strips")
    for number in range(80):
        pixels = random.integers(0, 256, (16, 48, 3), np.uint8)
        pixels[:, :14] = pixels[:, -14:] = 250 * (number % 2)
        (folder / f"{number % 2}").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number % 2}" / f"{number}.png")
    return folder


@pytest.mark.long
def test_what_is_at_the_ends_is_seen_and_the_choice_stays(strips, tmp_path, capfd):
    strips.model.resize = "auto"
    decided = with_decisions(strips, tmp_path / "run")
    said = capfd.readouterr().err
    assert decided.model.resize == "squash"
    scores = dict(
        zip(said.split("out of fold, ")[1].split()[::4], said.split("out of fold, ")[1].split()[1::4], strict=False)
    )
    assert float(scores["squash"]) > float(scores["original"]) + 0.2
    decided.model.resize = "pad"  # as if it had been decided so
    train_and_evaluate(decided, tmp_path / "run")
    assert with_measured_view(strips, tmp_path / "run").model.resize == "pad"
    (tmp_path / "killed" / "folds").mkdir(parents=True)
    (tmp_path / "run").rename(
        tmp_path / "killed" / "folds" / "fold_1"
    )  # as far as a run comes that is killed in its folds
    assert with_measured_view(strips, tmp_path / "killed").model.resize == "pad"


@pytest.mark.long
def test_the_advice_measures_a_view_that_is_left_open_and_says_so_once(strips, tmp_path, capfd):
    advice = advise(strips, [Candidate(strips.model.backbone)], measure_time=False)
    assert [reason.partition(":")[0] for reason in advice.recommendation.measured] == ["resize squash"]
    assert advice.recommendation.config.model.resize == "squash"
    capfd.readouterr()
    strips.model.method = "auto"
    with_decisions(strips, tmp_path / "run")
    assert capfd.readouterr().err.count("auto: resize squash") == 1
    strips.model.resize = "original"
    advice = advise(strips, [Candidate(strips.model.backbone)], measure_time=False)
    assert advice.recommendation.config.model.resize == "original"
    assert not any(reason.startswith("resize") for reason in advice.recommendation.measured)


def test_auto_is_decided_before_a_run(strips):
    strips.model.resize = "auto"
    with pytest.raises(ConfigError, match="resize: expected a rule that is decided"):
        validate(strips)


def test_what_an_earlier_version_left_at_its_default_goes_on(strips, tmp_path):
    strips.model.resize = "original"  # the default when it began
    first = train_and_evaluate(strips, tmp_path / "run")
    strips.model.resize = ""
    assert DEFAULT_RESIZE != "original"
    again = train_and_evaluate(strips, tmp_path / "run")
    assert again.resumed and again.validation_score == first.validation_score
