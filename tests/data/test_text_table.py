"""Tables of texts are told from those of images, and read as strings."""

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.config import TransferConfig
from tl_keras.data.inspection import inspect_source
from tl_keras.data.sources import SourceOptions, open_source
from tl_keras.errors import DataError

ROWS = (
    'text,label,split\n"What is a cat, and why?",animal,train\nWhere is Paris?,place,train\nwhere is PARIS,place,test\n'
)


def written(tmp_path, content, name="texts.csv"):
    (tmp_path / name).write_text(content, encoding="utf-8")
    return f"csv:{tmp_path / name}"


def texts_of(source):
    return [element["image"].numpy().decode() for element in source.images(np.arange(len(source)))]


def test_texts_labels_and_splits_are_read(tmp_path):
    source = open_source(written(tmp_path, ROWS))
    assert (source.noun, source.class_names) == ("text", ("animal", "place"))
    assert source.ids == ["line:2", "line:3", "line:4"]
    assert source.labels.tolist() == [0, 1, 1]
    assert source.declared_splits.tolist() == ["train", "train", "test"]
    assert texts_of(source)[0] == "What is a cat, and why?"
    assert source.encoded_image(1) == b"Where is Paris?"
    assert "from the column text" in source.notes[0]


@pytest.mark.parametrize(
    "header", ["question;category", "id\tsentence\tlabel", "label,Review", "sms,label,tweet", "id,comment,class,subset"]
)
def test_a_table_of_texts_is_known_by_its_header(tmp_path, header):
    separator = next(each for each in ";\t," if each in header)
    row = separator.join(
        {"label": "a", "category": "a", "class": "a", "subset": ""}.get(name, "word")
        for name in header.split(separator)
    )
    assert open_source(written(tmp_path, f"{header}\n{row}\n")).noun == "text"


def test_any_column_is_named(tmp_path):
    options = SourceOptions(columns="text=said,label=by")
    source = open_source(written(tmp_path, "said,by\nyes,a\nno,b\n"), options)
    assert texts_of(source) == ["yes", "no"]


def test_a_text_goes_over_several_lines(tmp_path):
    source = open_source(written(tmp_path, 'text,label\n"one\ntwo",a\nthree,b\n'))
    assert texts_of(source) == ["one\ntwo", "three"]
    assert source.ids == ["line:2", "line:4"]


def test_a_data_frame_holds_texts(tmp_path):
    pandas = pytest.importorskip("pandas")
    source = open_source(pandas.DataFrame({"text": ["a b", "c"], "label": ["x", "y"]}))
    assert texts_of(source) == ["a b", "c"]


@pytest.mark.parametrize("header", ["path,text,label", "image,caption,label"])
def test_a_table_of_images_stays_one(tmp_path, header):
    with pytest.raises(DataError, match="file"):
        open_source(written(tmp_path, f"{header}\nno.jpg,a word,x\n"))


def test_a_row_without_a_label_is_named(tmp_path):
    with pytest.raises(DataError, match=r"line 3: expected a label\. Received none, as in 1 more rows"):
        open_source(written(tmp_path, "text,label\na,x\nb,\nc,\n"))


def test_inspection_counts_words_and_leaves_empty_texts_out(tmp_path):
    rows = ROWS + '" ",place,train\nA dog,animal,test\n'
    inspection = inspect_source(open_source(written(tmp_path, rows)))
    assert inspection.decodable.tolist() == [True, True, True, False, True]
    assert inspection.heights.tolist() == [6, 3, 3, 0, 2]
    assert any(finding.startswith("1 text is empty, and is left out: line:5") for finding in inspection.findings)


def test_texts_that_differ_in_case_and_punctuation_are_copies(tmp_path):
    inspection = inspect_source(open_source(written(tmp_path, ROWS + "A dog,animal,test\n")))
    assert any("line:3 = line:4" in finding and "two splits" in finding for finding in inspection.findings)
    assert len(set(inspection.sha256.tolist())) == 4


def test_the_options_take_a_column_of_texts():
    config = TransferConfig()
    config.data.columns = "text=said"
    assert SourceOptions.of(config).column_names == {"text": "said"}


def test_batches_hold_texts_of_about_the_same_length_and_each_epoch_others(tmp_path):
    lengths = np.random.default_rng(0).integers(1, 200, 2048)
    rows = "".join(f"{'x' * length},{'ab'[number % 2]}\n" for number, length in enumerate(lengths))
    source = open_source(written(tmp_path, f"text,label\n{rows}"))
    orders = [source.ordered(np.arange(2048), shuffle_seed=tf.constant(seed, tf.int64)).numpy() for seed in (1, 1, 2)]
    assert all(sorted(order) == list(range(2048)) for order in orders)
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0] != orders[2]).mean() > 0.9
    batches = lengths[orders[0]].reshape(-1, 32)
    assert np.median(np.ptp(batches, axis=1)) < 12  # of 200; shuffled alone, about 187
    assert abs(np.corrcoef(batches.mean(axis=1), np.arange(64))[0, 1]) < 0.4  # neither short nor long ones first
