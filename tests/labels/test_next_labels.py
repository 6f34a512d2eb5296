"""Tests of tl_keras.labels.next_labels."""

import copy
import json

import pytest

from tl_keras.config import resolve
from tl_keras.labels.next_labels import plan_labels


@pytest.fixture(scope="module")
def plan(labelling):
    return plan_labels(labelling.config, workdir=labelling.run, count=12)


def test_a_plan_has_images_a_forecast_and_the_images_of_each_class(plan):
    assert len(set(plan.chosen)) == 12 and not set(plan.chosen) & set(plan.gathered.outliers)
    assert plan.forecast.images == 36 and plan.forecast.more == 12
    assert "a linear probe on the features of" in plan.forecast_on
    assert {each.name: each.labelled for each in plan.classes} == {"blue": 12, "green": 12, "red": 12}
    assert sum(each.chosen for each in plan.classes) == 12


def test_its_json_counts_what_is_left_out(plan):
    values = json.loads(json.dumps(plan.to_json()))
    assert values["left_out"] | {"outliers": 0} == {"near_copies": 1, "labelled": 1, "outliers": 0, "undecodable": 0}
    assert len(values["chosen"]) == 12 and {"image", "guess", "score"} == set(values["chosen"][0])


def test_the_first_labels_are_chosen_by_coverage_alone(labelling):
    plan = plan_labels(resolve(copy.deepcopy(labelling.config)), count=6)
    assert plan.forecast is None and "there is no run yet" in plan.forecast_on and plan.classes == ()
    assert plan.guess(int(plan.chosen[0])) is None and "guess" not in plan.to_json()["chosen"][0]
