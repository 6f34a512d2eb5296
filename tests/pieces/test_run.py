"""Tests of tl_keras.pieces.run."""

import pathlib

import numpy as np
import pytest
from PIL import Image

import tl_keras as tl
from tl_keras.pieces.run import unused_directory


@pytest.fixture(scope="module")
def run(photos, small_teacher, tmp_path_factory):
    """A run on blue and red photos."""
    workdir = tmp_path_factory.mktemp("run") / "run"
    return tl.feature_extraction(
        tl.load_data(photos("blue", "red"), seed=1), workdir, backbone=str(small_teacher), epochs=20, dropout=0.0
    )


def images_of(run):
    """Returns one photo as a path, bytes, a Pillow image and an array."""
    path = next(run._data.images.source.path(index) for index in run._data.splits.test)
    return [path, pathlib.Path(path).read_bytes(), Image.open(path), np.asarray(Image.open(path))]


@pytest.mark.slow
def test_it_answers_the_same_for_a_path_bytes_an_image_and_an_array(run):
    rows = run.predict(images_of(run))
    assert len({row["label"] for row in rows}) == 1
    assert np.allclose([row["score"] for row in rows], rows[0]["score"], atol=1e-6)
    vectors = run.embed(images_of(run))
    assert vectors.shape == (4, 16)
    assert np.allclose(vectors, vectors[0], atol=1e-5)


def test_it_prints_well(run):
    page = run._repr_html_()
    assert "accuracy on test" in page
    assert str(run.workdir) in repr(run)


def test_a_folder_without_a_finished_run_is_one_line(tmp_path):
    with pytest.raises(tl.TransferError, match=r"workdir: expected the directory of a finished run"):
        tl.Run(tmp_path)


@pytest.mark.long
def test_it_goes_on_with_a_new_class_and_the_head_keeps_what_it_knows(run, photos, tmp_path):
    data = tl.load_data(photos("blue", "green", "red"), seed=7)  # another seed deals trained images to other splits
    more = run.resume(1, data=data, workdir=tmp_path / "more")
    assert more.class_names == ("blue", "green", "red")
    (kernel, _), (earlier, _) = (
        more.model.get_layer("logits").get_weights(),
        run.model.get_layer("logits").get_weights(),
    )
    near = [np.abs(kernel[:, ours] - earlier[:, theirs]).max() for ours, theirs in ((0, 0), (2, 1))]
    assert max(near) < 0.1 < np.abs(kernel[:, 1] - earlier[:, 0]).max()
    seen = set(run._directory.read_splits()["train_sha256"])
    splits = more._directory.read_splits()
    assert seen <= set(splits["train_sha256"])  # nothing that it was trained on is measured


@pytest.mark.long
def test_its_config_names_the_images_it_went_on_with_as_they_were_read(run, photos, tmp_path):
    folder = photos("blue", "red")
    rows = [f"{path},{path.parent.name},{path.parent.name[0]}\n" for path in sorted(pathlib.Path(folder).rglob("*.*"))]
    (tmp_path / "table.csv").write_text("".join(["path,colour,letter\n", *rows]))
    data = tl.load_data(f"csv:{tmp_path / 'table.csv'}", columns="image=path,label=colour", seed=1)
    more = run.resume(1, data=data, workdir=tmp_path / "more")
    assert more._config().data.columns == "image=path,label=colour"
    assert more._config().data.augmentation == run._config().data.augmentation
    assert len(tl.Run(tmp_path / "more")._data_again(more._config()).splits.train)  # by config.json alone


def test_numbers_and_formats_that_are_none_are_one_line(run):
    with pytest.raises(tl.TransferError, match="epochs: expected at least 1 more"):
        run.resume(0)
    with pytest.raises(tl.TransferError, match="top_k: expected 1 or more"):
        run.predict("photo.jpg", top_k=0)
    with pytest.raises(tl.TransferError, match=r"export: expected one of .* Received: tflite\."):
        run.export("tflite")


def test_a_name_that_is_taken_gets_a_number(tmp_path):
    assert unused_directory(str(tmp_path / "run")) == str(tmp_path / "run")
    (tmp_path / "run").mkdir()
    assert unused_directory(str(tmp_path / "run")) == str(tmp_path / "run_2")
