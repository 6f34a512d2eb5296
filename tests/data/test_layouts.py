"""Tests of tl_keras.data.layouts: a new way in which people lay out folders is one more line of a table."""

import os
import random
import re
import unicodedata
from collections import Counter

import pytest

from tl_keras.data.image_files import is_image
from tl_keras.data.layouts import list_class_folders
from tl_keras.errors import DataError


@pytest.fixture
def make(tmp_path):
    """A function that makes empty files; a name that ends in a slash is a folder."""

    def make(names):
        root = tmp_path / "photos"
        for name in names:
            path = root / name
            (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
            if not name.endswith("/"):
                path.touch()
        return str(root)

    return make


def pairs(*folders):
    """Returns two images of cat and dog in each of some folders."""
    return [f"{folder}/{name}/a.jpg" for folder in folders for name in ("cat", "dog")]


# Files, and the class and split that each image gets, in order of their names.
LAYOUTS = {
    "classes": (["cat/a.jpg", "dog/b.jpg"], ["cat", "dog"], ["", ""]),
    "deep classes": (["cat/x/y/a.jpg", "dog/b.jpg"], ["cat", "dog"], ["", ""]),
    "train val test": (
        pairs("train", "val", "test"),
        ["cat", "dog"] * 3,
        ["test"] * 2 + ["train"] * 2 + ["validation"] * 2,
    ),
    "Training Testing": (pairs("Training", "Testing"), ["cat", "dog"] * 2, ["test"] * 2 + ["train"] * 2),
    "training_set test_set": (pairs("training_set", "test_set"), ["cat", "dog"] * 2, ["test"] * 2 + ["train"] * 2),
    "trainingset testset": (pairs("trainingset", "testset"), ["cat", "dog"] * 2, ["test"] * 2 + ["train"] * 2),
    "train_images test_images": (
        pairs("train_images", "test_images"),
        ["cat", "dog"] * 2,
        ["test"] * 2 + ["train"] * 2,
    ),
    "Train-Data Test-Data": (pairs("Train-Data", "Test-Data"), ["cat", "dog"] * 2, ["test"] * 2 + ["train"] * 2),
    "train2017 val2017": (pairs("train2017", "val2017"), ["cat", "dog"] * 2, ["train"] * 2 + ["validation"] * 2),
    "train dev": (pairs("train", "dev"), ["cat", "dog"] * 2, ["validation"] * 2 + ["train"] * 2),
    "train eval": (pairs("train", "eval"), ["cat", "dog"] * 2, ["validation"] * 2 + ["train"] * 2),
    "training validation evaluation": (
        pairs("training", "validation", "evaluation"),
        ["cat", "dog"] * 3,
        ["test"] * 2 + ["train"] * 2 + ["validation"] * 2,
    ),
    "seg_train/seg_train": (
        pairs("seg_train/seg_train", "seg_test/seg_test"),
        ["cat", "dog"] * 2,
        ["test"] * 2 + ["train"] * 2,
    ),
    "train/images": (pairs("train/images", "test/images"), ["cat", "dog"] * 2, ["test"] * 2 + ["train"] * 2),
    "splits in classes": (
        ["cat/train/a.jpg", "cat/test/a.jpg", "dog/train/a.jpg", "dog/test/a.jpg"],
        ["cat", "cat", "dog", "dog"],
        ["test", "train"] * 2,
    ),
    "doubled": (["photos/cat/a.jpg", "photos/dog/a.jpg"], ["cat", "dog"], ["", ""]),
    "splits one folder down": (pairs("data/train", "data/val"), ["cat", "dog"] * 2, ["train"] * 2 + ["validation"] * 2),
    "a train among cars": (["train/a.jpg", "car/a.jpg"], ["car", "train"], ["", ""]),
    "classes with a folder of one name": (["cat/images/a.jpg", "dog/images/a.jpg"], ["cat", "dog"], ["", ""]),
    "breeds": (
        ["cat/siam/a.jpg", "cat/other/a.jpg", "dog/other/a.jpg", "dog/pug/b.jpg"],
        ["cat"] * 2 + ["dog"] * 2,
        [""] * 4,
    ),
}


@pytest.mark.parametrize(("names", "classes", "splits"), LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(make, names, classes, splits):
    listing = list_class_folders(make(names))
    assert sorted(listing.ids) == sorted(names)
    order = sorted(range(len(names)), key=lambda index: listing.ids[index])
    assert [listing.classes[index] for index in order] == classes
    assert [listing.splits[index] for index in order] == splits


# Files, and the error.
REFUSED = {
    "folds": (
        pairs("fold_1", "fold_2"),
        "Received fold_1, fold_2, which hold no images themselves .*=fold_1=train,fold_2=train",
    ),
    "train and extra": (pairs("train", "test", "extra"), "Received extra, which hold no images themselves"),
    "train and fold": (pairs("train", "fold_2"), "Received fold_2, which"),
    "one too high": (["down/cat/a.jpg", "down/dog/a.jpg", "LICENSE"], "one folder down.* name .*photos/down"),
    "a copy of the set inside": (
        [*pairs("."), *pairs("extra")],
        r"Received extra, which holds folders named as those beside it \(cat, dog\)\. .*splits=extra=unused, name .*/extra ",
    ),
    "more of a class inside": (
        ["cat/a.jpg", "dog/a.jpg", "more/cat/b.jpg", "more/b.jpg"],
        "Received more, which holds",
    ),
    "two too high": (["x/down/cat/a.jpg", "x/down/dog/a.jpg"], "name .*photos/x/down"),
    "splits and a class": (
        [*pairs("train", "test"), "single_prediction/a.jpg"],
        "test, train beside single_prediction",
    ),
    "test alone": (pairs("test"), "expected a train folder beside test"),
    "no folders": (["a.jpg"], r"Received 1 image in no class folder, the first is a\.jpg\. Put"),
    "splits without classes": (
        ["train/a.jpg", "test/b.jpg"],
        r"2 images in no class folder, the first is test/b.jpg\. Put the images of each class",
    ),
    "nothing": ([".x/"], "no files in class folders"),
    "other files": (["cat/a.txt"], r"no images \(other files, left alone: 1 \.txt\)"),
    "hidden alone": (["cat/.a.jpg"], r"no images \(hidden images, left out: 1"),
    "emu in test": (
        ["train/cat/a.jpg", "train/dog/a.jpg", "test/emu/a.jpg"],
        r"Received emu in test only.*--splits=test=unused",
    ),
    "unlabelled test images": ([*pairs("train"), "test/test/a.jpg"], "Received test in test only.*splits=test=unused"),
    "Cat and cat": (
        ["train/cat/a.jpg", "test/Cat/a.jpg"],
        r"Received Cat in test only \('cat' and 'Cat' differ little",
    ),
    "objects with sets of their own": (
        ["cable/train/good/a.jpg", "cable/test/bad/a.jpg", "tile/train/good/a.jpg", "tile/test/bad/a.jpg"],
        "Name one of them: .*photos/cable",
    ),
}


@pytest.mark.parametrize(("names", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_certain_is_asked(make, names, message):
    with pytest.raises(DataError, match=message):
        list_class_folders(make(names))


def test_the_user_says_which_folders_are_splits(make):
    root = make([*pairs("fold_1", "fold_2", "fold_3"), "fold_4/cat/b.jpg"])
    given = {"fold_1": "train", "fold_2": "train", "FOLD_3": "test", "fold_4": "unused"}
    listing = list_class_folders(root, splits={name.lower(): split for name, split in given.items()})
    assert Counter(listing.splits) == {"train": 4, "test": 2}
    assert "images in folders that are to be left out, left out: 1, the first is fold_4" in listing.notes


# Files, what is left out, and the class and split of each image that is used.
LEFT_OUT = {
    "a copy of the set": ([*pairs("."), *pairs("extra")], "extra", ["cat", "dog"], ""),
    "one of two sets": (pairs("photos", "photos_old"), "photos_old", ["cat", "dog"], ""),
    "unlabelled test images": ([*pairs("train"), "test/unknown/a.jpg"], "test", ["cat", "dog"], "train"),
    "a class": (["cat/a.jpg", "dog/a.jpg", "rest/b.jpg"], "rest", ["cat", "dog"], ""),
    "beside splits": ([*pairs("train", "val"), "one/b.jpg"], "one", ["cat", "cat", "dog", "dog"], None),
}


@pytest.mark.parametrize(("names", "unused", "classes", "split"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_a_folder_is_left_out(make, names, unused, classes, split):
    listing = list_class_folders(make(names), splits={unused: "unused"})
    assert sorted(listing.classes) == classes
    assert split is None or set(listing.splits) == {split}
    assert any(
        note.startswith(f"images in folders that are to be left out, left out: {len(names) - len(classes)}")
        for note in listing.notes
    )


def test_the_user_says_that_no_folder_is_a_split(make):
    assert set(list_class_folders(make(pairs("fold_1", "fold_2")), splits={}).classes) == {"fold_1", "fold_2"}
    assert set(list_class_folders(make([*pairs("."), *pairs("extra")]), splits={}).classes) >= {"cat", "dog", "extra"}


def test_a_split_that_is_not_there_is_named(make):
    with pytest.raises(DataError, match=r"Received fold_9, beside the folders fold_1, fold_2"):
        list_class_folders(make(pairs("fold_1", "fold_2")), splits={"fold_9": "train"})


def test_an_archive_is_read_from_the_folder_that_holds_all(make):
    listing = list_class_folders(make(["down/cat/a.jpg", "down/dog/a.jpg"]), name="photos.zip")
    assert set(listing.classes) == {"cat", "dog"}
    assert listing.notes == ["the images are read from down, the only folder with images"]


def test_a_class_without_images_is_noted_with_what_it_holds(make):
    notes = list_class_folders(make(["cat/a.jpg", "dog/a.jpg", "emu/a.raw", "fox/"])).notes
    assert "class folders without images, left out: emu (1 .raw), fox" in notes


@pytest.mark.parametrize("seed", range(60))
def test_every_image_is_used_or_counted(tmp_path, seed):
    """Random trees: what is on disk is what is listed, plus what the notes or the error count."""
    rng = random.Random(seed)
    nfd = unicodedata.normalize("NFD", "é")
    names = [
        "cat",
        "Cat",
        "dog",
        "train",
        "Test",
        "val",
        ".git",
        "@eaDir",
        "__MACOSX",
        "x.jpg",
        "é",
        nfd,
        "a b",
        "01",
        "1",
    ]
    files = ["a.jpg", "b.PNG", ".c.jpg", "._a.jpg", "notes.txt", "d.gif", "e.heic", "no_suffix"]

    def grow(folder, depth):
        folder.mkdir(exist_ok=True)
        for name in rng.sample(files, rng.randint(0, 4)) if depth else []:
            if not (folder / name).exists():
                (folder / name).touch()
        if depth < 3:
            for name in rng.sample(names, rng.randint(1, 4)):
                grow(folder / name, depth + 1)
        if rng.random() < 0.1:
            (folder / "gone.jpg").symlink_to("nothing.jpg")

    grow(tmp_path / "top", 0)
    on_disk = [name for _, _, found in os.walk(tmp_path / "top") for name in found if is_image(name)]
    try:
        listing = list_class_folders(str(tmp_path / "top"))
    except (
        DataError
    ) as error:  # asked, not trained: by a reason that names a folder or an image, or says that there is none
        named = {name for _, folders, found in os.walk(tmp_path / "top") for name in (*folders, *found)}
        assert "\n" not in str(error)
        said = str(error).replace(str(tmp_path), "")
        assert any(name in said for name in named) or re.search("no images|no files", said)
        return
    assert len(set(listing.ids)) == len(listing.ids) == len(listing.classes) == len(listing.splits)
    of_images = re.compile(r"^(?:hidden images|images in .*|links that lead nowhere), left out: (\d+)")
    noted = sum(int(found[1]) for note in listing.notes if (found := of_images.match(note)))
    assert len(listing.ids) + noted == len(on_disk)
