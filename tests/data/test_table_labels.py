"""Tests of tl_keras.data.table_labels: several labels or numbers per image, from the cells of a table."""

import numpy as np
import pytest

from tl_keras.data.labelling import labelling_of
from tl_keras.data.table import Table
from tl_keras.data.table_labels import label_columns, read_labels
from tl_keras.errors import DataError


def table_of(text):
    """Returns a table of lines whose cells are separated by commas."""
    header, *rows = ([cell.strip() for cell in line.split(",")] for line in text.splitlines())
    return Table("t.csv", header, rows, range(2, len(rows) + 2), "")


LISTED = {
    "semicolons": ("image,labels\na,x;y\nb,\nc,y", ("x", "y"), [[1, 1], [0, 0], [0, 1]]),
    "bars and spaces around": ("image,labels\na,x | y\nb,z", ("x", "y", "z"), [[1, 1, 0], [0, 0, 1]]),
    "a plus between spaces": ("image,labels\na,x + y+\nb,y+", ("x", "y+"), [[1, 1], [0, 1]]),
    "names of two words": ("image,labels\na,open circuit\nb,short", ("open circuit", "short"), [[1, 0], [0, 1]]),
    "words in all combinations": (
        "image,labels\na,x y\nb,x\nc,y\nd,",
        ("x", "y"),
        [[1, 1], [1, 0], [0, 1], [0, 0]],
    ),
    "one column for each": ("image,x,y\na,1,0\nb,0,1\nc,0,0", ("x", "y"), [[1, 0], [0, 1], [0, 0]]),
    "what is not known": ("image,x,y\na,1,\nb,?,0\nc,0,1", ("x", "y"), [[1, -1], [-1, 0], [0, 1]]),
    "a column without zeros": ("image,x,y\na,1,0\nb,,1", ("x", "y"), [[1, 0], [0, 1]]),
}


@pytest.mark.parametrize(("text", "names", "rows"), LISTED.values(), ids=LISTED)
def test_several_labels_are_read(text, names, rows):
    table = table_of(text)
    columns = ["labels"] if "labels" in table.columns else []
    read = read_labels(table, columns, "labels", others=["image"])
    assert (read.names, read.rows) == (names, rows)


def table_with(cells, column="labels"):
    return Table(
        "t.csv", ["image", column], [[str(row), cell] for row, cell in enumerate(cells)], range(2, 2 + len(cells)), ""
    )


def test_lists_as_pandas_writes_them_are_lists():
    cells = ["['copper', 'open']", "[]", "", "[\"open\", 'a;b']"]
    read = read_labels(table_with(cells), ["labels"], "labels", others=["image"])
    assert read.names == ("a;b", "copper", "open")
    assert read.rows == [[0, 1, 1], [0, 0, 0], [0, 0, 0], [1, 0, 1]]
    assert "written as lists" in read.notes[0]
    marks = read_labels(table_with(["[1, 0]", "[0, 1]"]), ["labels"], "labels", others=["image"])
    assert marks.rows == [[1, 0], [0, 1]]
    with pytest.raises(DataError, match=r"line 3: expected a list such as .* Received: \[x y\]\. Separate"):
        read_labels(table_with(["['a', 'b']", "[x y]"]), ["labels"], "labels", others=["image"])


def test_lists_as_numpy_writes_them_are_lists():
    cells = ["['open' 'short']", "['short'\n \"it's\"]", "['open']"]
    read = read_labels(table_with(cells), ["labels"], "labels", others=["image"])
    assert (read.names, read.rows) == (("it's", "open", "short"), [[0, 1, 1], [1, 0, 1], [0, 1, 0]])


def test_tuples_and_sets_as_python_writes_them_are_lists():
    for cells in (["('open', 'short')", "('open',)", "()"], ["{'short', 'open'}", "{'open'}", "set()"]):
        read = read_labels(table_with(cells), ["labels"], "labels", others=["image"])
        assert (read.names, read.rows) == (("open", "short"), [[1, 1], [1, 0], [0, 0]])
    named = read_labels(table_with(["(left) x;y", "(left) x"]), ["labels"], "labels", others=["image"])
    assert named.names == ("(left) x", "y")


def test_a_label_in_brackets_is_one_and_a_dictionary_is_no_list():
    read = read_labels(table_with(["('open')", "('open', 'short')"]), ["labels"], "labels", others=["image"])
    assert (read.names, read.rows) == (("open", "short"), [[1, 0], [1, 1]])
    with pytest.raises(DataError, match=r"expected a list such as .* Received: \{'open': 1\}"):
        read_labels(table_with(["('open',)", "{'open': 1}"]), ["labels"], "labels", others=["image"])


@pytest.mark.parametrize("cells", [["", ""], ["[]", ""]])
def test_a_column_without_any_label_is_refused(cells):
    with pytest.raises(DataError, match=r"expected labels in the column labels\. Received none in 2 rows"):
        read_labels(table_with(cells), ["labels"], "labels", others=["image"])


def test_columns_that_look_like_labels_are_not_passed_over_in_silence():
    table = table_of("image,x,typo,never,age,note\na,1,1,0,31,\nb,0,l,0,40,1\nc,1,0,0,22,fine\nd,0,1,0,1,ok")
    read = read_labels(table, [], "labels", others=["image"])
    assert read.names == ("x",)
    assert read.notes[-1].startswith(
        "columns that are not taken for labels: typo (line 3: l); never (no image has it); --col"
    )


COMMAS = {
    "decimals": (["3,5", "1,340", "350"], [3.5, 1.34, 350]),
    "decimals after zero": (["0,125", "0,340"], [0.125, 0.34]),
    "thousands": (["350", "1,340", "1,700"], "line 3: expected numbers of one meaning.*Received: 1,340, whose comma"),
    "millions": (["1,200,000", "1"], "line 2: expected numbers of one meaning"),
    "thousands and decimals": (["1,340.50", "1"], "line 2: expected numbers of one meaning"),
    "a decimal comma and a decimal point": (["1.5", "2,25"], "line 3: expected numbers of one meaning"),
}


@pytest.mark.parametrize(("cells", "expected"), COMMAS.values(), ids=COMMAS)
def test_a_comma_is_a_decimal_one_or_refused(cells, expected):
    table = table_with(cells, column="price")
    if isinstance(expected, list):
        read = read_labels(table, ["price"], "numbers", others=["image"])
        assert [value for (value,) in read.rows] == expected
        return
    with pytest.raises(DataError, match=expected):
        read_labels(table, ["price"], "numbers", others=["image"])


def test_cells_that_say_nothing_are_counted_by_the_inspection_alone():
    read = read_labels(table_of("image,x\na,1\nb,?\nc,0"), ["x"], "labels", others=["image"])
    assert read.notes == ("labels from the columns x",)
    findings = labelling_of(np.array(read.rows)).findings(read.names, np.array(read.rows))
    assert "labels that are not known, and take no part in training and measures: 1 of 3" in findings


def test_numbers_are_read_from_one_column_or_several():
    table = table_of("image,age,weight\na,12,3.5\nb,-1e2,.5")
    assert read_labels(table, ["age", "weight"], "numbers", others=["image"]).rows == [[12, 3.5], [-100, 0.5]]


REFUSED = {
    "no labels": ("image,age\na,31\nb,40", [], "labels", "expected a column labels.*--columns=label=COLUMN"),
    "a mark of another kind": (
        "image,x,y\na,1,0\nb,2,1",
        ["x", "y"],
        "labels",
        "line 3: expected 1, 0, or .*Received: 2",
    ),
    "no number": ("image,age\na,31\nb,", ["age"], "numbers", "line 3: expected a number.*Received: an empty cell"),
    "units": (
        "image,age\na,31 y\nb,40 y\nc,",
        ["age"],
        "numbers",
        "line 2: .*without its unit.*31 y, and no number in 2 other rows",
    ),
    "infinite": ("image,age\na,31\nb,inf", ["age"], "numbers", "line 3: expected a number.*Received: inf"),
    "two columns of a name": (
        "image,x,x,y\na,1,0,1\nb,0,1,0",
        [],
        "labels",
        "expected each column once. Received x 2 times",
    ),
    "no column of numbers": ("image,age,name\na,31,x", [], "numbers", "these are numbers: age.*--columns=label=age"),
}


@pytest.mark.parametrize(("text", "columns", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_other_cells_are_refused_with_their_line(text, columns, kind, message):
    with pytest.raises(DataError, match=message):
        read_labels(table_of(text), columns, kind, others=["image"])


@pytest.mark.parametrize(("columns", "names"), [(["x", "y"], ["x", "y"]), (["x+y"], ["x+y"])])
def test_a_plus_joins_columns_unless_it_is_in_a_name(columns, names):
    assert label_columns({"label": "x+y"}, columns) == names


def test_a_column_that_is_named_twice_is_refused():
    with pytest.raises(DataError, match=r"each column of labels once.*label=x\+y\+x\. Leave x out"):
        label_columns({"label": "x+y+x"}, ["x", "y"])
