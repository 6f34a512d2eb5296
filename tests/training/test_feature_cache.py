"""Tests of tl_keras.training.feature_cache."""

import hashlib
import multiprocessing
import os
import shutil
import threading

import numpy as np
import pytest

from tl_keras.errors import WorkdirError
from tl_keras.training.feature_cache import FeatureCache, RowSpec

SPEC = RowSpec(((2, 3), (4,)))


def keys(*names):
    return [hashlib.sha256(str(name).encode()).digest() for name in names]


def tensors(n, *, seed=0):
    random = np.random.default_rng(seed)
    return [random.normal(size=(n, *shape)).astype(np.float32) for shape in SPEC.shapes]


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "cache", limit_gib=1)


def filled(cache, *names, kind=None):
    rows, values = cache.rows(kind or {"cut": 1}, SPEC), tensors(len(names))
    with rows.locked():
        rows.append(keys(*names), values)
    return rows, values


def test_what_is_appended_is_found_and_read_bit_for_bit(cache):
    rows, values = filled(cache, "a", "b", "c")
    reader = rows.reader()
    for read, value in zip(reader(reader.find(keys("c", "a"))), values, strict=True):
        np.testing.assert_array_equal(read, value[[2, 0]])


def test_what_was_never_computed_is_not_found(cache):
    rows, _ = filled(cache, "a")
    assert rows.reader().find(keys("a", "another")).tolist() == [0, -1]


def test_another_kind_has_rows_of_its_own(cache):
    filled(cache, "a")
    assert cache.rows({"cut": 2}, SPEC).reader().find(keys("a")).tolist() == [-1]
    assert cache.rows({"cut": 1}, RowSpec(SPEC.shapes, "float16")).reader().find(keys("a")).tolist() == [-1]


def test_a_damaged_row_is_not_found_and_can_be_computed_again(cache):
    rows, values = filled(cache, "a", "b")
    with (rows.folder / "rows").open("r+b") as file:
        file.seek(SPEC.nbytes + 5)
        file.write(b"\xff")
    assert rows.reader().find(keys("a", "b")).tolist() == [0, -1]
    with rows.locked():
        rows.append(keys("b"), [value[1:] for value in values])
    assert rows.reader().find(keys("a", "b")).tolist() == [0, 2]


@pytest.mark.parametrize("name", ["rows", "index"])
def test_what_a_kill_left_half_written_is_cut_off(cache, name):
    rows, values = filled(cache, "a", "b")
    with (rows.folder / name).open("r+b") as file:
        file.truncate((rows.folder / name).stat().st_size - 3)
    assert rows.reader().find(keys("a", "b")).tolist() == [0, -1]
    with rows.locked():
        rows.append(keys("b"), [value[1:] for value in values])
    assert rows.reader().find(keys("a", "b")).tolist() == [0, 1]


def test_half_precision_takes_half_the_space(cache):
    rows, values = cache.rows({}, RowSpec(SPEC.shapes, "float16")), tensors(3)
    with rows.locked():
        rows.append(keys(1, 2, 3), values)
    np.testing.assert_allclose(rows.reader()(np.array([1]))[0], values[0][1:2], rtol=1e-3)
    assert (rows.folder / "rows").stat().st_size == 3 * 2 * 10


def test_what_was_not_used_for_longest_makes_room(cache):
    rows = [filled(cache, *range(3), kind={"cut": cut})[0] for cut in range(3)]
    for age, each in enumerate(rows):
        os.utime(each.folder, (1000 + age, 1000 + age))
    one = sum(path.stat().st_size for path in rows[0].folder.iterdir())
    tight = FeatureCache(cache.folder, limit_gib=2.5 * one / 2**30)
    assert tight.make_room(one // 2, needed=one, keep=rows[2]) == ""
    assert [each.folder.is_dir() for each in rows] == [False, True, True]


def test_what_is_kept_makes_room_for_itself_and_not_before_it_must(cache):
    rows, _ = filled(cache, "a", "b", "c")
    four = rows.spec.nbytes_on_disk(4) + (rows.folder / "kind.json").stat().st_size
    tight = FeatureCache(cache.folder, limit_gib=four / 2**30)
    one = rows.spec.nbytes_on_disk(1)
    assert tight.make_room(one, needed=4 * one, keep=rows) == ""
    assert rows.reader().find(keys("a", "b", "c")).tolist() == [0, 1, 2]
    assert tight.make_room(2 * one, needed=4 * one, keep=rows) == ""
    assert rows.reader().find(keys("a", "b", "c")).tolist() == [-1, -1, -1]


def test_what_has_no_room_beside_what_is_being_filled_is_refused(cache):
    being_filled, _ = filled(cache, *range(5))
    kept, _ = filled(cache, "a", kind={"cut": 2})
    with being_filled.locked():
        reason = FeatureCache(cache.folder, limit_gib=500 / 2**30).make_room(400, needed=440, keep=kept)
    assert "what other runs are writing" in reason
    assert kept.reader().find(keys("a")).tolist() == [0]


def test_an_open_reader_survives_the_clearing(cache):
    rows, values = filled(cache, "a")
    reader = rows.reader()
    with rows.locked():
        rows.clear()
        rows.append(keys("b"), tensors(1, seed=1))
    np.testing.assert_array_equal(reader(reader.find(keys("a")))[0], values[0])


def test_more_than_the_limit_is_refused(cache):
    assert "more than --cache_gib=1" in cache.refusal(2 * 2**30)
    assert cache.refusal(2**30) == ""


def test_what_is_being_filled_is_not_removed(cache):
    rows, _ = filled(cache, "a")
    with rows.locked():
        FeatureCache(cache.folder, limit_gib=1e-6).make_room(1000, needed=1000, keep=cache.rows({}, SPEC))
    assert rows.folder.is_dir()


def test_what_a_kill_left_half_removed_is_removed_by_the_next(cache):
    rows, _ = filled(cache, "a")
    rows.folder.rename(cache.folder / ".removed_by_a_process_that_was_killed")
    assert cache.make_room(1, needed=1, keep=rows) == ""
    assert [path.name for path in cache.folder.iterdir()] == ["lock"]


def test_an_open_reader_survives_the_removal(cache):
    rows, values = filled(cache, "a")
    reader = rows.reader()
    FeatureCache(cache.folder, limit_gib=1e-6).make_room(1000, needed=1000, keep=cache.rows({}, SPEC))
    assert not rows.folder.exists()
    np.testing.assert_array_equal(reader(np.array([0]))[0], values[0])


def test_what_was_found_is_read_though_others_take_its_place(cache):
    rows, values = filled(cache, "a", "b")
    reader = rows.reader()
    positions = reader.find(keys("a", "b"))
    FeatureCache(cache.folder, limit_gib=1e-6).make_room(1000, needed=1000, keep=cache.rows({}, SPEC))
    filled(cache, "b", "a")
    np.testing.assert_array_equal(reader(positions)[0], values[0])


def test_who_waits_for_a_folder_that_is_removed_fills_a_new_one(cache):
    rows, _ = filled(cache, "a")
    waiting = threading.Thread(target=filled, args=(cache, "b"))
    with rows.locked():
        waiting.start()
        waiting.join(0.2)
        shutil.rmtree(rows.folder)
    waiting.join()
    assert rows.reader().find(keys("a", "b")).tolist() == [-1, 0]


def _append_hundred(folder, first):
    rows = FeatureCache(folder, limit_gib=1).rows({}, SPEC)
    for number in range(first, first + 100):
        with rows.locked():
            if rows.reader().find(keys(number))[0] < 0:
                rows.append(keys(number), tensors(1, seed=number))


def test_two_processes_fill_the_same_cache(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_append_hundred, args=(tmp_path, first)) for first in (0, 50)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    rows = FeatureCache(tmp_path, limit_gib=1).rows({}, SPEC)
    reader = rows.reader()
    positions = reader.find(keys(*range(150)))
    assert sorted(positions.tolist()) == list(range(150))
    np.testing.assert_array_equal(reader(positions[[149]])[0], tensors(1, seed=149)[0])


def test_what_is_too_large_for_float16_is_noticed():
    large = [np.full((1, 2, 3), 7e4, np.float32), np.ones((1, 4), np.float32)]
    assert SPEC.holds(large)
    assert not RowSpec(SPEC.shapes, "float16").holds(large)


@pytest.mark.parametrize("name", ["rows", "index", "lock", "kind.json"])
@pytest.mark.parametrize("content", [b"", bytes(range(256)), None])
def test_damaged_files_are_computed_again_and_a_directory_in_their_place_is_one_line(tmp_path, name, content):
    rows = FeatureCache(tmp_path, limit_gib=1).rows({"kind": "damaged"}, RowSpec(((4,),)))
    with rows.locked():
        rows.append([b"k" * 32], [np.ones((1, 4), np.float32)])
    (rows.folder / name).unlink()
    if content is None:
        (rows.folder / name).mkdir()
        for use in (rows.reader, lambda: rows.locked().__enter__()):
            with pytest.raises(WorkdirError, match="computed again") as raised:
                use()
            assert "\n" not in str(raised.value)
        return
    (rows.folder / name).write_bytes(content)
    with rows.locked():
        if rows.reader().find([b"k" * 32])[0] < 0:
            rows.append([b"k" * 32], [np.ones((1, 4), np.float32)])
    (found,) = rows.reader()(rows.reader().find([b"k" * 32]))
    assert found.tolist() == [[1.0] * 4]


def test_a_directory_in_the_place_of_the_lock_of_the_cache_is_one_line(tmp_path):
    cache = FeatureCache(tmp_path, limit_gib=1)
    (tmp_path / "lock").mkdir()
    with pytest.raises(WorkdirError, match=r"Received: a directory\. Remove it\."):
        cache.make_room(1, needed=1, keep=cache.rows({}, RowSpec(((2,),))))


def test_rows_of_another_cache_are_taken_over_behind_ones_own(cache, tmp_path):
    rows, values = filled(cache, "a")
    others = FeatureCache(tmp_path / "other", limit_gib=1)
    _, more = filled(others, "b", "c")
    filled(others, "d", kind={"cut": 2})
    cache.take_over(others.folder)
    reader = rows.reader()
    for read, own, taken in zip(reader(reader.find(keys("a", "b", "c"))), values, more, strict=True):
        np.testing.assert_array_equal(read, np.concatenate([own, taken[:2]]))
    assert cache.rows({"cut": 2}, SPEC).reader().find(keys("d")).tolist() == [0]
    assert not others.folder.exists()


def test_rows_that_find_no_room_stay_where_they_are(cache, tmp_path):
    others = FeatureCache(tmp_path / "other", limit_gib=1)
    filled(others, "a")
    with pytest.raises(WorkdirError, match="expected room"):
        FeatureCache(cache.folder, limit_gib=1e-9).take_over(others.folder)
    assert others.rows({"cut": 1}, SPEC).reader().find(keys("a")).tolist() == [0]
