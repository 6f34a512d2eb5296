"""Texts in class folders are read with their splits, and what is left out is counted."""

import sys

import pytest

from tl_keras.data.sources import SourceOptions, open_source
from tl_keras.errors import DataError


def write(folder, files):
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    return f"txt:{folder}"


FILES = {"pos/1.txt": "\ufeffgood ☕\n", "pos/deep/2.TXT": "fine", "neg/3.txt": b"bad \xff", "neg/4.txt": "poor"}


def test_each_folder_is_a_class(tmp_path):
    others = {"readme.txt": "about", "pos/notes.md": "#", ".git/config.txt": "x", "neg/long.txt": "a" * (2**20 + 1)}
    source = open_source(write(tmp_path, FILES | others))
    assert (source.noun, source.class_names) == ("text", ("neg", "pos"))
    assert source.ids == ["neg/3.txt", "neg/4.txt", "pos/1.txt", "pos/deep/2.TXT"]
    assert source.labels.tolist() == [0, 0, 1, 1]
    assert source.encoded_image(2).decode() == "good ☕"
    assert source.encoded_image(0).decode() == "bad ÿ"
    assert (
        "texts that are not UTF-8, read as cp1252: 1, the first is neg/3.txt; save them so if words look wrong"
        in source.notes
    )
    for left_out in ("other files", "files of more than 1,048,576 bytes", "texts in no class folder"):
        assert f"{left_out}, left out: 1" in source.notes


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that nobody can read")
def test_a_text_that_cannot_be_read_is_left_out_and_counted(tmp_path):
    name = write(tmp_path, FILES)
    (tmp_path / "pos" / "unread.txt").symlink_to("/proc/self/mem")
    assert "texts that cannot be read, left out: 1" in open_source(name).notes


def test_folders_of_splits_hold_the_classes(tmp_path):
    files = {f"{split}/{path}": content for split in ("train", "test", "unsup") for path, content in FILES.items()}
    source = open_source(write(tmp_path, files), SourceOptions(splits="unsup=unused"))
    assert source.class_names == ("neg", "pos")
    assert sorted(set(source.declared_splits)) == ["test", "train"]
    assert "texts in folders that are to be left out, left out: 4" in source.notes


def test_a_folder_without_texts_beside_those_of_splits_changes_nothing(tmp_path):
    files = {f"{split}/{path}": content for split in ("train", "test") for path, content in FILES.items()}
    (tmp_path / "empty").mkdir()
    source = open_source(write(tmp_path, files | {"figures/plot.png": b""}))
    assert source.class_names == ("neg", "pos")
    assert sorted(set(source.declared_splits)) == ["test", "train"]


def test_another_folder_of_texts_beside_those_of_splits_is_refused_until_the_user_says_what_it_is(tmp_path):
    files = {f"{split}/{path}": content for split in ("train", "test", "extra") for path, content in FILES.items()}
    name = write(tmp_path, files)
    with pytest.raises(DataError, match=r"Received both: test, train beside extra.*--splits=extra=unused"):
        open_source(name)
    assert open_source(name, SourceOptions(splits="extra=unused")).class_names == ("neg", "pos")
    assert open_source(name, SourceOptions(splits="none")).class_names == ("extra", "test", "train")


def test_a_test_without_train_is_refused(tmp_path):
    files = {f"{split}/{path}": content for split in ("val", "test") for path, content in FILES.items()}
    with pytest.raises(DataError, match="expected a train folder beside test"):
        open_source(write(tmp_path, files))


def test_a_class_that_is_named_as_a_split_stays_a_class(tmp_path):
    assert open_source(write(tmp_path, FILES | {"train/1.txt": "leaves at nine"})).class_names == (
        "neg",
        "pos",
        "train",
    )


def test_a_class_may_be_left_out(tmp_path):
    source = open_source(write(tmp_path, FILES | {"odd/1.txt": "x"}), SourceOptions(splits="odd=unused"))
    assert source.class_names == ("neg", "pos")
    assert "texts in folders that are to be left out, left out: 1" in source.notes


@pytest.mark.parametrize(
    ("files", "received"), [({"a.txt": "x"}, "1 text in no class folder"), ({"c/a.md": "x"}, "no such")]
)
def test_a_folder_without_classes_of_texts_is_refused(tmp_path, files, received):
    with pytest.raises(DataError, match=received):
        open_source(write(tmp_path, files))


def test_a_folder_of_texts_that_is_named_as_one_of_images_gets_the_remedy(tmp_path):
    name = write(tmp_path, FILES).removeprefix("txt:")
    with pytest.raises(DataError, match=f"use --data=txt:{name}"):
        open_source(name)
