"""Tests of tl_keras.data.split_names."""

import pytest

from tl_keras.data.split_names import parse_split, split_of_name, splits_of_names
from tl_keras.errors import DataError

NAMES = {
    "train": "train Training TRAIN training_set train-set trainset seg_train train_images TrainData train2017 images.train",
    "validation": "val valid Validation validation_set dev development eval Evaluation val2017 valset",
    "test": "test testing TEST test_set test-images seg_test test1 Testing",
    "": "cat trainer testament latest devil valley values evaluator set images fold_1 attest",
}


@pytest.mark.parametrize(("split", "name"), [(split, name) for split, names in NAMES.items() for name in names.split()])
def test_names_of_splits(split, name):
    assert split_of_name(name) == split


def test_an_evaluation_beside_a_validation_is_the_test():
    assert splits_of_names(["train", "val", "eval"], {}) == {"train": "train", "val": "validation", "eval": "test"}
    assert splits_of_names(["train", "eval"], {})["eval"] == "validation"
    assert splits_of_names(["train", "val", "eval", "test"], {})["eval"] == "validation"


def test_what_the_user_says_comes_first():
    assert splits_of_names(["Fold_1", "test"], {"fold_1": "train", "test": "validation"}) == {
        "Fold_1": "train",
        "test": "validation",
    }


@pytest.mark.parametrize("meaning", ["unused", "train", "validation"])
def test_what_the_user_says_of_an_evaluation_counts_in_any_case(meaning):
    assert splits_of_names(["Train", "Val", "Eval"], {"eval": meaning})["Eval"] == meaning


def test_a_name_that_means_nothing_is_refused():
    with pytest.raises(DataError, match=r"a.csv line 3: expected a split.* Received: tset"):
        parse_split("tset", where="a.csv line 3")
