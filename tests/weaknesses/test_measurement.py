"""Tests of tl_keras.weaknesses.measurement, on a student of the embedded teacher."""

import dataclasses
import itertools

import pytest

from tl_keras.config import quick_start
from tl_keras.errors import DataError
from tl_keras.training.loop import train_and_evaluate
from tl_keras.weaknesses.audit_record import Audit
from tl_keras.weaknesses.measurement import STRENGTHS, audit_run

pytestmark = pytest.mark.slow  # tracing the network for every depth takes a minute


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run on scikit-learn's digits, whose head alone was trained."""
    config = quick_start()
    config.model.method, config.export = "feature_extraction", "none"
    workdir = tmp_path_factory.mktemp("runs") / "digits"
    train_and_evaluate(config, workdir)
    return workdir


@pytest.fixture(scope="module")
def audit(workdir) -> Audit:
    return audit_run(workdir, images=60)


def by_name(audit):
    return {name: list(rows) for name, rows in itertools.groupby(audit.conditions, key=lambda row: row.name)}


def test_every_corruption_and_attack_is_measured_at_five_strengths(audit):
    strengths = {name: tuple(row.strength for row in rows) for name, rows in by_name(audit).items()}
    corruptions = ("Gaussian noise", "defocus blur", "JPEG compression", "low contrast", "brightness")
    assert strengths == {
        **dict.fromkeys(corruptions, (1, 2, 3, 4, 5)),
        **dict.fromkeys(("FGSM", "PGD, 10 steps"), STRENGTHS),
    }
    assert audit.images == 60


def test_accuracy_never_rises_with_strength_beyond_noise(audit):
    for rows in by_name(audit).values():
        highs = [audit.interval[1], *(row.interval[1] for row in rows)]
        assert all(row.accuracy <= high for row, high in zip(rows, highs, strict=False))


def test_pgd_leaves_less_than_fgsm_and_never_more_at_a_larger_strength(audit):
    attacks = by_name(audit)
    left = [row.accuracy for row in attacks["PGD, 10 steps"]]
    assert left == sorted(left, reverse=True)
    assert sum(left) <= sum(row.accuracy for row in attacks["FGSM"])


def test_the_teacher_alone_takes_the_student_in_where_they_share_weights(audit):
    assert [match.depth for match in audit.mimicry if match.is_cut] == ["the pooling"]
    assert max(match.taken for match in audit.mimicry) > 2 * audit.chance


def test_why_the_teacher_has_no_figures_is_said(audit):
    assert audit.remark.startswith("No figures of the teacher: KERAS_HOME has no weights of MobileNetV2")
    assert all(row.teacher_unchanged is None for row in audit.conditions)


def test_the_same_run_gives_the_same_figures_again(workdir, audit):
    again = audit_run(workdir, images=60)
    assert dataclasses.replace(again, seconds=0) == dataclasses.replace(audit, seconds=0)


def test_images_of_one_class_are_refused(workdir):
    with pytest.raises(DataError, match="two classes"):
        audit_run(workdir, images=1)
