"""Tests of tl_keras.search.index."""

import pathlib

import numpy as np
import pytest

from tl_keras.errors import ConfigError, DataError, DependencyError, WorkdirError
from tl_keras.search.index import read_index, require_index_name, write_index

ABOUT = {
    "network": "a network",
    "identity": {"backbone": "B", "view": {"size": 8}, "weights": "abc"},
    "source": "photos",
}
NAMES = ["a/1.jpg", "Größe.png", "not UTF-8 \udcff.jpg"]


@pytest.fixture(params=[".npz", ".parquet"])
def written(request, tmp_path):
    features = np.arange(12, dtype=np.float32).reshape(3, 4)
    path = tmp_path / f"below/features{request.param}"
    sizes = np.array([[1, 2], [3, 4], [5, 6]])
    write_index(path, [features[:2], features[2:]], dimension=4, names=NAMES, sizes=sizes, about=ABOUT)
    return path


def test_what_is_written_is_read_again(written):
    index = read_index(written)
    np.testing.assert_array_equal(index.features, np.arange(12, dtype=np.float32).reshape(3, 4))
    assert index.features.flags.writeable
    shown = NAMES if written.suffix == ".npz" else [*NAMES[:2], "not UTF-8 ?.jpg"]
    assert list(index.names) == shown
    assert index.about == {"made_with": {}, **ABOUT}
    assert index.described(np.array([2, 0]), np.array([0.5, 0.25], np.float32)) == [
        {"name": shown[2], "cosine": 0.5, "height": 5, "width": 6},
        {"name": shown[0], "cosine": 0.25, "height": 1, "width": 2},
    ]


def test_anyone_reads_it(written):
    """With NumPy or pandas, without this package."""
    if written.suffix == ".npz":
        with np.load(written) as file:
            assert file["features"].shape == (3, 4)
            assert file["names"].tolist() == NAMES
    else:
        import pandas as pd

        table = pd.read_parquet(written)
        assert table.name[0] == "a/1.jpg" and len(table.features[0]) == 4


@pytest.mark.parametrize(
    ("identity", "differs"),
    [
        ({"weights": "other"}, "another weights"),
        ({"view": {"size": 9}, "weights": "abc"}, "another view"),
        ({"backbone": "C", "view": {"size": 8}, "weights": "x"}, "another backbone and another weights"),
    ],
)
def test_another_network_is_refused_in_one_line(written, identity, differs):
    index = read_index(written)
    index.require_same_network({key: ABOUT["identity"][key] for key in identity}, "the same")
    with pytest.raises(DataError, match=f"index: expected .* a network. Received: run2, which has {differs}") as raised:
        index.require_same_network(identity, "run2")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 no archive", b"text"])
@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_no_index_is_one_line(tmp_path, content, suffix):
    path = tmp_path / f"features{suffix}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"index: expected a file of python -m tl_keras\.embed"):
        read_index(path)


def test_an_npz_of_something_else_is_refused(tmp_path):
    path = tmp_path / "features.npz"
    for arrays in (
        {"x_train": np.zeros(3)},
        {"features": np.zeros((2, 3)), "names": ["a"], "sizes": [[1, 1]], "about": "{}"},
    ):
        np.savez(path, **arrays)
        with pytest.raises(DataError, match="index: expected"):
            read_index(path)


def test_a_name_says_the_format(monkeypatch):
    with pytest.raises(ConfigError, match=r"out: expected a name that ends in \.npz or \.parquet"):
        require_index_name(pathlib.Path("features.csv"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match="pyarrow"):
        require_index_name(pathlib.Path("features.parquet"))
    require_index_name(pathlib.Path("features.npz"))


def test_a_place_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkdirError, match=r"out: cannot write .*f\.npz"):
        write_index(
            tmp_path / "file" / "f.npz", [], dimension=4, names=[], sizes=np.zeros((0, 2), np.int64), about=ABOUT
        )
