"""Tests of tl_keras.data.inspection_memory: what is read a second time, and what is not."""

import os
import pathlib
import time

import numpy as np
import pytest
from PIL import Image

from tl_keras.config import TransferConfig
from tl_keras.data import inspection
from tl_keras.data.folder import FolderSource
from tl_keras.data.inspection import Reading, inspect_source


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Twelve images of two classes that have not been touched for a while, and the numbers of images read so far."""
    for number in range(12):
        path = tmp_path / "photos" / f"class{number % 2}" / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (8, 9, 3), np.uint8)).save(path)
    (tmp_path / "photos" / "class1" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    read, look = [], inspection._look_at
    monkeypatch.setattr(inspection, "_look_at", lambda *args, **kw: (read.append(len(args[3])), look(*args, **kw)))
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 60 * 10**9)
    return tmp_path / "photos", read


def inspected(folder, reading=inspection.AS_USUAL):
    return inspect_source(FolderSource(str(folder)), reading, remembered_in=folder.parent / "cache")


def test_a_second_start_reads_nothing_and_finds_the_same(photos):
    folder, read = photos
    first, second = inspected(folder), inspected(folder)
    assert read == [13]
    assert (first.data_hash, first.findings, first.undecodable) == (
        second.data_hash,
        second.findings,
        second.undecodable,
    )
    for column in ("sha256", "decodable", "heights", "widths"):
        np.testing.assert_array_equal(getattr(first, column), getattr(second, column))


def changed_content(folder):
    path = folder / "class0" / "02.png"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")


def same_size_and_modification_time(folder):
    path = folder / "class0" / "02.png"
    times = path.stat()
    path.write_bytes((folder / "class0" / "04.png").read_bytes().ljust(times.st_size, b"\0")[: times.st_size])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def damaged_memory(folder):
    (memory,) = (folder.parent / "cache" / "inspected").iterdir()
    contents = bytearray(memory.read_bytes())
    contents[len(contents) // 2 :] = b"\0" * (len(contents) - len(contents) // 2)
    memory.write_bytes(contents)


@pytest.mark.parametrize(
    ("change", "read_again"),
    [
        pytest.param(changed_content, 1, marks=pytest.mark.slow),
        (same_size_and_modification_time, 1),
        (lambda folder: (folder / "class0" / "02.png").rename(folder / "class0" / "new.png"), 1),
        pytest.param(lambda folder: (folder / "class0" / "02.png").unlink(), 0, marks=pytest.mark.slow),
        (damaged_memory, 13),
    ],
)
def test_what_changed_is_read_again_and_the_rest_is_not(photos, capfd, change, read_again):
    folder, read = photos
    inspected(folder)
    change(folder)
    found = inspected(folder)
    assert read[1:] == [read_again] * (read_again > 0)
    assert found.data_hash == inspect_source(FolderSource(str(folder))).data_hash
    assert ("is damaged" in capfd.readouterr().err) == (change is damaged_memory)


def test_another_way_of_reading_has_a_memory_of_its_own(photos):
    folder, read = photos
    inspected(folder)
    inspected(folder, Reading(background="black"))
    assert read == [13, 13]


def test_a_file_that_changed_a_moment_ago_is_read_again(photos, monkeypatch):
    folder, _ = photos
    monkeypatch.undo()
    looked = inspected(folder)
    (memory,) = (pathlib.Path(folder).parent / "cache" / "inspected").iterdir()
    assert looked.decodable.sum() == 12 and len(np.load(memory)["stamps"]) == 0


def test_what_parts_have_seen_is_put_together_and_the_rest_is_read(photos):
    folder, read = photos
    config = TransferConfig()
    config.cache.folder = str(folder.parent / "cache")
    source = FolderSource(str(folder))
    for part, indices in enumerate(np.array_split(np.arange(10), 2)):
        inspection.look_at_part(source, config, indices, part=part)
    assert inspection.not_looked_at(source, config).tolist() == [10, 11, 12]
    together, whole = inspected(folder), inspect_source(source)
    assert read == [5, 5, 3, 13]
    assert (together.data_hash, together.undecodable) == (whole.data_hash, whole.undecodable)
    assert inspection.not_looked_at(source, config).tolist() == []
    assert not list((folder.parent / "cache").rglob("*.parts"))
