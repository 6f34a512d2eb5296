"""Tests of tl_keras.data.name_series: which names are series, and which only look like them."""

import numpy as np
import pytest

from tl_keras.data.groups import names_found
from tl_keras.data.name_series import are_groups, series_in_names, warning_of_series

# A pattern of names, of object and copy; the numbers of both; the flag in the warning, or nothing.
NAMES = {
    "objects": ("c{c}/object{o}_{n:02}.jpg", 30, 10, "--group_by='object[0-9]+'"),
    "patients": ("c{c}/patient{o}-left-{n}.png", 20, 5, "--group_by='patient[0-9]+-left'"),
    "frames": ("train/c{c}/video_{o}_frame_{n:04}.png", 20, 9, "--group_by='video_[0-9]+_frame'"),
    "Roboflow's copies": ("c{c}/img{o}_jpg.rf.{n:08x}.jpg", 40, 3, "--group_by='img[0-9]+_jpg'"),
    "folders": ("c{c}/p{o}/{n}.jpg", 20, 6, "--group_by='p[0-9]+'"),
    "a series a class": ("c{c}/rose_{n:04}{o:03}.jpg", 30, 10, ""),
    "numbers alone": ("c{c}/cat.{o}{n}.jpg", 30, 10, ""),
    "hashes": ("c{c}/{o:05x}{n}_{n:04x}{o}_m.jpg", 30, 10, ""),
    "days": ("c{c}/IMG_202305{o:02}_12{n:02}11.jpg", 28, 10, ""),
}


@pytest.mark.parametrize(("pattern", "objects", "copies", "flag"), NAMES.values(), ids=NAMES)
def test_series_in_names_are_warned_of(pattern, objects, copies, flag):
    pairs = [(o, n) for o in range(objects) for n in range(copies)]
    ids = [pattern.format(c=o % 2, o=o, n=n) for o, n in pairs]
    said = " ".join(warning_of_series(ids, np.array([o % 2 for o, _ in pairs])))
    assert flag in said if flag else not said


def test_all_that_names_may_tell_is_proposed_from_the_smallest_groups_on():
    ids = [f"c{o % 2}/site{o % 8} patient{o}_{n}.jpg" for o in range(40) for n in range(4)]
    found = series_in_names(ids, np.array([int(each[1]) for each in ids]))
    assert [len(groups) for groups in found] == [40, 8]
    for groups in found:  # the flag finds what is proposed
        assert groups.names.tolist() == names_found(ids, groups.by.partition("=")[2])


@pytest.mark.parametrize("usual", ["IMG-2023{n:04}-WA{n:04}.jpg", "Bild {n} ä.png", "2023 Mai/Bild {n} ä.png"])
def test_what_most_names_begin_with_is_no_series_beside_a_few_other_names(usual):
    ids = [f"c{c}/{usual.format(n=40 * c + n)}" for c in range(4) for n in range(36)]
    ids += [f"c{c}/{name}0.jpg" for c in range(4) for name in ("bild", "foto", "neu", "download")]
    assert series_in_names(ids, np.array([int(each[1]) for each in ids])) == []


def test_a_partition_into_one_large_group_and_some_small_ones_is_none():
    strata = np.arange(120) % 2
    few_large = np.repeat([0, 1, 2, 3], [34, 34, 34, 18])
    one_large = np.concatenate([np.zeros(60, int), 1 + np.arange(60) // 6])
    assert [are_groups(each, strata) for each in (few_large, one_large)] == [True, False]


def test_a_class_folder_is_no_series_and_the_largest_series_is_named():
    sizes = [3, 7, 4, 6, 5, 5, 5, 5]
    ids = [f"{'ab'[p % 2]}/visit{p}/{n}.jpg" for p, size in enumerate(sizes) for n in range(size)]
    ids += [f"{label}/{n}.jpg" for label in "ab" for n in range(4)]
    strata = np.array(["ab".index(each[0]) for each in ids])
    (said,) = warning_of_series(ids, strata, ["a", "b"])
    assert "names look like 8 series, such as visit1. " in said and "--group_by='visit[0-9]+'" in said
    (groups,) = series_in_names([each.replace("visit1/", "other/") for each in ids], strata, ["a", "b"])
    assert groups.by == "--group_by=folder" and set(groups.names[-8:]) == {""}
