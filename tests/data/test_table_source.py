"""Tests of tl_keras.data.table_source: CSV and Parquet files and DataFrames that list images."""

import pathlib

import pytest

from tl_keras.data.options import SourceOptions
from tl_keras.data.sources import open_source
from tl_keras.data.table_source import csv_source, parquet_source
from tl_keras.errors import DataError


@pytest.fixture
def files(tmp_path, write_image):
    """Twelve images of cat and dog."""
    return [str(write_image(f"{'cat' if number % 2 else 'dog'}/{number}.png")) for number in range(12)]


def test_a_csv_file_lists_images_by_its_columns(files, tmp_path):
    lines = [
        "id,breed,split",
        *(f"{pathlib.Path(file).relative_to(tmp_path)},{number % 2},train" for number, file in enumerate(files)),
    ]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    source = csv_source(str(tmp_path / "list.csv"), SourceOptions(columns="image=id,label=breed"))
    assert source.class_names == ("0", "1")
    assert source.labels.tolist() == [0, 1] * 6
    assert source.encoded_image(3) == pathlib.Path(files[3]).read_bytes()


def test_a_data_frame_and_a_parquet_file_are_tables(files, tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"id": files, "breed": ["cat", "dog"] * 6, "split": ["train", "val", None] * 4})
    source = open_source(frame)
    assert source.class_names == ("cat", "dog")
    assert source.declared_splits.tolist() == ["train", "validation", ""] * 4
    frame.to_parquet(tmp_path / "table.parquet")
    again = open_source(f"parquet:{tmp_path}/table.parquet")
    assert again.ids == source.ids
    assert again.encoded_image(3) == pathlib.Path(files[3]).read_bytes()


def test_a_missing_value_of_any_kind_is_an_empty_cell(files):
    pandas = pytest.importorskip("pandas")
    houses = pandas.array([1, None, 1, None, 2, 2] * 2, dtype="Int64")
    frame = pandas.DataFrame(
        {"path": files, "label": ["cat", "dog"] * 6, "split": [None, float("nan")] * 6, "house": houses}
    )
    source = open_source(frame, SourceOptions(columns="group=house"))
    assert source.groups.names.tolist() == ["1", "", "1", "", "2", "2"] * 2
    assert set(source.declared_splits) == {""}


def test_a_table_without_rows_is_refused(tmp_path):
    pandas = pytest.importorskip("pandas")
    for column in ("path", "text"):
        empty = pandas.DataFrame({column: [], "label": []})
        empty.to_parquet(tmp_path / "empty.parquet")
        for source in (empty, f"parquet:{tmp_path}/empty.parquet"):
            with pytest.raises(DataError, match=r"expected rows\. Received the columns .*,label only"):
                open_source(source)


def test_a_column_of_pandas_is_no_table(files):
    with pytest.raises(DataError, match="Received Series"):
        open_source(pytest.importorskip("pandas").Series(files))


def test_what_is_no_parquet_file_of_paths_is_one_line(tmp_path):
    pandas = pytest.importorskip("pandas")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="expected a Parquet file"):
        parquet_source(str(tmp_path / "damaged.parquet"))
    pandas.DataFrame({"image": [b"\x89PNG"], "label": ["cat"]}).to_parquet(tmp_path / "images.parquet")
    with pytest.raises(DataError, match=r"the images themselves\. Use hf:"):
        parquet_source(str(tmp_path / "images.parquet"))
