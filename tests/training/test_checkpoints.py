"""Tests of tl_keras.training.checkpoints."""

import json
import resource

import keras
import numpy as np
import pytest
from golden_results import golden_epochs

from tl_keras.errors import WorkdirError
from tl_keras.runs.records import Progress
from tl_keras.training.checkpoints import copier_of, read_checkpoint, restore, save_checkpoint, values_of


def variables(*values):
    return [keras.Variable(np.asarray(value)) for value in values]


def test_values_come_back_bit_for_bit(tmp_path):
    saved = values_of(variables(np.float32([1 / 3, np.pi]), np.int64(7), np.uint32([1, 2**32 - 1])))
    save_checkpoint(tmp_path / "c.npz", values=saved, kept=saved[:1], progress=Progress())
    checkpoint, _ = read_checkpoint(tmp_path / "c.npz")
    for before, after in zip([*saved, saved[0]], [*checkpoint.values, *checkpoint.kept], strict=True):
        np.testing.assert_array_equal(before, after)


def test_values_go_back_into_variables(tmp_path):
    targets = variables(np.float32([0, 0]), np.int64(0))
    restore(tmp_path, targets, [np.float32([1, 2]), np.int64(3)])
    assert [np.asarray(variable).tolist() for variable in targets] == [[1.0, 2.0], 3]


def test_copies_are_those_of_the_time_and_stay_what_they_were():
    several = variables(np.float32([1 / 3, np.pi]), np.int64(7), np.uint32([1, 2**32 - 1]), np.array(True))
    copies = copier_of(several)
    before, first = values_of(several), copies()
    several[0].assign_add([1.0, 1.0])
    several[1].assign(8)
    second = copies()
    for expected, found in ((before, first), (values_of(several), second)):
        for value, copied in zip(expected, found, strict=True):
            assert value.dtype == copied.dtype
            np.testing.assert_array_equal(value, copied)


def test_copiers_of_many_short_phases_bring_no_warning(caplog):
    for _ in range(12):
        copier_of(variables(np.float32([1.0])))()
    assert not caplog.records


def test_progress_comes_back(tmp_path):
    progress = Progress(
        phase=1, phase_epochs=2, phase_best_score=(0.5, -1.25), kept_phase="head", history=golden_epochs()
    )
    save_checkpoint(tmp_path / "c.npz", values=[], kept=[], progress=progress)
    assert read_checkpoint(tmp_path / "c.npz")[0].progress == progress


def test_without_a_file_there_is_no_checkpoint(tmp_path):
    assert read_checkpoint(tmp_path / "c.npz") == (None, "")


def test_the_start_of_a_phase_keeps_the_runs_best_and_forgets_the_phases():
    progress = Progress(phase=0, phase_epochs=3, phase_over=True, phase_best_score=(1.0, 0.0), kept_epoch=2)
    assert progress.at_start_of(1) == Progress(phase=1, kept_epoch=2)


def test_a_record_of_an_older_version_is_read(tmp_path):
    record = {**Progress(phase_epochs=2, kept_epoch=1).to_json(), "best_accuracy": 0.5}
    np.savez(tmp_path / "c.npz", record=np.asarray(json.dumps(record)), value_0=np.zeros(3))
    assert read_checkpoint(tmp_path / "c.npz")[0].progress == Progress(phase_epochs=2, kept_epoch=1)


def save_epochs(path, *epochs):
    for epoch in epochs:
        values = [np.full(1000, epoch, np.float32)]
        save_checkpoint(path, values=values, kept=values, progress=Progress(phase_epochs=epoch))


def torn(content: bytes) -> bytes:
    return content[: len(content) // 2]


def altered(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [torn, altered, lambda content: b""])
def test_a_damaged_file_is_named_and_the_one_before_is_used(tmp_path, damage):
    path = tmp_path / "c.npz"
    save_epochs(path, 1, 2, 3)
    path.write_bytes(damage(path.read_bytes()))
    checkpoint, said = read_checkpoint(path)
    assert checkpoint.progress.phase_epochs == 2
    assert checkpoint.values[0][0] == 2
    assert f"{path} is damaged" in said
    assert "\n" not in said


def test_a_damaged_file_does_not_take_the_place_of_the_one_before(tmp_path):
    path = tmp_path / "c.npz"
    save_epochs(path, 1, 2)
    path.write_bytes(b"")
    read_checkpoint(path)
    assert not path.exists()
    assert read_checkpoint(path)[0].progress.phase_epochs == 1


def test_where_both_are_damaged_it_is_one_line(tmp_path):
    path = tmp_path / "c.npz"
    save_epochs(path, 1, 2)
    for file in tmp_path.iterdir():
        file.write_bytes(torn(file.read_bytes()))
    with pytest.raises(WorkdirError, match=r"c\.npz is damaged.*c\.previous\.npz is damaged.*Remove") as raised:
        read_checkpoint(path)
    assert "\n" not in str(raised.value)


def test_a_full_disk_loses_nothing(tmp_path):
    path = tmp_path / "c.npz"
    save_epochs(path, 1, 2)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))  # writing more is refused, as on a full disk
    try:
        with pytest.raises(WorkdirError, match="disk is full") as raised:
            save_epochs(path, 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(raised.value)
    assert read_checkpoint(path)[0].progress.phase_epochs == 2
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c.npz", "c.previous.npz"]


def test_values_of_another_model_are_refused(tmp_path):
    with pytest.raises(WorkdirError, match="another model"):
        restore(tmp_path / "c.npz", variables(np.zeros(4)), [np.zeros(3)])
