"""Tests of tl_keras.data.other_files: what is in a folder without class folders, and what to give as --data for it."""

import pytest

from tl_keras.data.image_files import read_tree
from tl_keras.data.layouts import list_class_folders
from tl_keras.data.other_files import how_to_read
from tl_keras.errors import DataError

# Files with their contents, and the remedy; {0} is the folder.
FOLDERS = {
    "records": (["train.tfrecord", "test.tfrecord", "labels.txt"], "Use --data=tfrecord:{0}/*.tfrecord*."),
    "shards": (["a.tfrecord-00000-of-00002", "a.tfrecord-00001-of-00002"], "Use --data=tfrecord:{0}/*.tfrecord*."),
    "arrays": (["x/mnist.npz"], "Use --data=npz:{0}/x/mnist.npz."),
    "Parquet": (["data.parquet"], "Use --data=parquet:{0}/data.parquet."),
    "an archive": (["photos.zip", "readme.txt"], "Use --data={0}/photos.zip."),
    "archives": (["test.zip", "train.zip"], "Unpack the archives in it, such as {0}/test.zip."),
    "an archive that is not read": (["photos.RAR"], "Unpack the archives in it, such as {0}/photos.RAR."),
    "a table": (["labels.csv"], "Where {0}/labels.csv says what the images are, use --data=csv:{0}/labels.csv,"),
    "nothing known": (["a.txt", ".hidden.zip"], ""),
}


def make(tmp_path, names):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return str(tmp_path)


@pytest.mark.parametrize(("names", "remedy"), FOLDERS.values(), ids=FOLDERS)
def test_the_remedy_fits_what_is_there(tmp_path, names, remedy):
    root = make(tmp_path, names)
    tree, _ = read_tree(root)
    assert how_to_read(root, tree).startswith(remedy.format(root))
    assert remedy or not how_to_read(root, tree)
    with pytest.raises(DataError, match=r"expected images .* in class folders"):
        list_class_folders(root)


# Images, the table's first column, and the remedy.
TABLES = {
    "Kaggle": (
        ["train/1.jpg", "test/2.jpg", "test/3.jpg"],
        "id",
        "1",
        "--data=csv:{0}/labels.csv --images_in={0}/train.",
    ),
    "whole paths": (["train/1.jpg", "test/2.jpg"], "path", "train/1.jpg", "--data=csv:{0}/labels.csv."),
    "one folder": (
        ["images/1.jpg", "images/2.jpg"],
        "image",
        "1.jpg",
        "--data=csv:{0}/labels.csv --images_in={0}/images.",
    ),
    "loose": (["1.jpg", "2.jpg"], "image", "1.jpg", "--data=csv:{0}/labels.csv."),
    "other columns": (["images/1.jpg"], "was", "1.jpg", "Where {0}/labels.csv says what the images are, use "),
    "other images": (["images/1.jpg"], "image", "9.jpg", "Where {0}/labels.csv says what the images are, use "),
}


@pytest.mark.parametrize(("images", "column", "first", "remedy"), TABLES.values(), ids=TABLES)
def test_the_table_beside_the_images_is_named_with_their_folder(tmp_path, images, column, first, remedy):
    root = make(tmp_path, images)
    (tmp_path / "labels.csv").write_text(f"{column},label\n{first},cat\n")
    with pytest.raises(DataError) as error:
        list_class_folders(root)
    assert remedy.format(root) in str(error.value)


def test_class_folders_beside_a_table_are_read(tmp_path):
    root = make(tmp_path, ["cat/a.jpg", "dog/b.jpg", "labels.csv"])
    assert list_class_folders(root).classes == ["cat", "dog"]


def test_of_two_tables_the_longer_one_is_named(tmp_path):
    root = make(tmp_path, ["train/1.jpg", "train/2.jpg", "test/3.jpg"])
    (tmp_path / "sample_submission.csv").write_text("id,label\n3,cat\n")
    (tmp_path / "train.csv").write_text("id,label\n1,cat\n2,dog\n")
    with pytest.raises(DataError, match=r"--data=csv:\S+/train\.csv --images_in=\S+/train\."):
        list_class_folders(root)
