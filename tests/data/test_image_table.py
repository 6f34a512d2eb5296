"""Tests of tl_keras.data.image_table: a new way of naming columns or images is one more line of a table."""

import pytest

from tl_keras.data.csv_file import read_csv
from tl_keras.data.image_table import list_table
from tl_keras.data.options import SourceOptions
from tl_keras.errors import DataError


@pytest.fixture
def listed(tmp_path):
    """A function that writes a CSV file beside images/{a,b,c}.jpg and lists it."""
    for name in ("images/a.jpg", "images/b.jpg", "images/c.jpg", "other/deep/d.PNG"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link.jpg").symlink_to("images/a.jpg")

    def listed(text, **options):
        (tmp_path / "list.csv").write_text(text)
        if "images_in" in options:
            options["images_in"] = str(tmp_path / options["images_in"])
        options = SourceOptions(**options)
        return list_table(read_csv(str(tmp_path / "list.csv"), options.column_names), options)

    return listed


# Header, options, and the note on what was taken.
COLUMNS = {
    "path label": ("path,label", {}, []),
    "any order and case": ("LABEL,Path", {}, []),
    "Kaggle": ("id,breed", {}, ["columns: image from id, label from breed"]),
    "a name that says it": ("image,class", {}, ["columns: label from class"]),
    "HF's metadata": ("file_name,label", {}, ["columns: image from file_name"]),
    "named": ("what,where", {"columns": "image=where,label=what"}, []),
    "two columns of labels": (
        "path,label,class,label_id",
        {},
        ["labels are from label, not from class; --columns=label=class changes that"],
    ),
    "named among synonyms": ("id,path,class,label", {"columns": "image=id,label=class"}, []),
}


@pytest.mark.parametrize(("header", "options", "notes"), COLUMNS.values(), ids=COLUMNS)
def test_columns_are_found(listed, header, options, notes):
    image_first = header.lower() not in ("label,path", "what,where")
    rows = []
    for path, label in (("images/a.jpg", "cat"), ("images/b.jpg", "dog")):
        if header.startswith("id,path"):
            rows.append(f"{path},none.jpg,{label},no")
        elif header.startswith("path,label,"):
            rows.append(f"{path},{label},no,7")
        else:
            rows.append(f"{path},{label}" if image_first else f"{label},{path}")
    listing = listed("\n".join([header, *rows]), **options)
    assert listing.ids == ["images/a.jpg", "images/b.jpg"]
    assert listing.labels == ["cat", "dog"]
    assert listing.notes == notes


def test_rows_that_repeat_an_image_are_left_out_and_counted(listed):
    listing = listed("path,label\nimages/a.jpg,cat\n./images/a.jpg,cat\nimages/b.jpg,dog\nother/../images/a.jpg,cat\n")
    assert listing.ids == ["images/a.jpg", "images/b.jpg"]
    assert listing.notes == ["rows that repeat an image, left out: 2, the first is line 3, ./images/a.jpg"]


def test_a_row_that_is_left_out_repeats_nothing(listed):
    text = "path,label,split\nimages/a.jpg,cat,train\nimages/a.jpg,dog,unused\n"
    assert listed(text, splits="unused=unused").ids == ["images/a.jpg"]


# A column and its values for a, b and c; options; splits, and the note.
SPLITS = {
    "split": ("split", "train,val,test", {}, ["train", "validation", "test"], ""),
    "subset": ("subset", "Training,dev,Testing", {}, ["train", "validation", "test"], "splits from the column subset"),
    "any name": ("what_for", "train,train,test", {}, ["train", "train", "test"], "splits from the column what_for"),
    "folds": ("fold", "1,2,3", {}, ["", "", ""], "the column fold is not used: its values"),
    "folds that mean": (
        "fold",
        "1,2,3",
        {"splits": "1=train,2=val,3=unused"},
        ["train", "validation"],
        "rows that are",
    ),
    "named": ("k", "x,y,y", {"columns": "split=k", "splits": "x=train,y=test"}, ["train", "test", "test"], ""),
    "not wanted": ("split", "train,val,odd", {"columns": "split=none"}, ["", "", ""], ""),
    "beside": ("camera", "left,left,right", {}, ["", "", ""], ""),
}


@pytest.mark.parametrize(("name", "values", "options", "splits", "note"), SPLITS.values(), ids=SPLITS)
def test_splits_are_noticed(listed, name, values, options, splits, note):
    rows = [f"images/{image}.jpg,{image},{value}" for image, value in zip("abc", values.split(","), strict=True)]
    listing = listed("\n".join([f"path,label,{name}", *rows]), **options)
    assert listing.splits == splits
    assert any(each.startswith(note) for each in listing.notes) if note else not listing.notes


REFUSED = {
    "no columns": ("file,kind\nimages/a.jpg,x\n", {}, "Name the columns: --columns=label=COLUMN"),
    "no columns, perhaps of texts": (
        "nr,Frage,Thema\n1,was?,x\n",
        {},
        "--columns=image=COLUMN,label=COLUMN, or of texts --columns=text=COLUMN,label=COLUMN; or add",
    ),
    "a column that is not there": ("path,label\nimages/a.jpg,x\n", {"columns": "label=breed"}, "columns path, label"),
    "twice": (
        "id,label\nimages/a,x\nimages/b,x\nimages/a.jpg,y\n",
        {},
        "line 4: expected one row for each image. Received images/a.jpg as y, and images/a, the same file, in line 2 as x",
    ),
    "twice, with several labels": (
        "path,r,s,t\nimages/a.jpg,1,0,?\nimages/b.jpg,0,0,1\nimages/a.jpg,0,0,0\n",
        {"task": "multi_label"},
        r"Received images/a.jpg as none of the labels, and images/a.jpg, the same file, in line 2 as r;t\?. Put all labels",
    ),
    "twice, with two numbers": (
        "path,age\nimages/a.jpg,3\nimages/a.jpg,4\n",
        {"task": "regression", "columns": "label=age"},
        "images/a.jpg as 4, and images/a.jpg, the same file, in line 2 as 3. Keep one of them, or their mean",
    ),
    "twice, spelled in two ways": ("id,label\nimages/a,x\n./other/../images/a.jpg,y\n", {}, "the same file, in line 2"),
    "twice, by a link": ("id,label\nimages/a,x\nlink.jpg,y\n", {}, "link.jpg as y, and images/a, the same file"),
    "in two splits": (
        "path,label,split\nimages/a.jpg,x,train\nimages/a.jpg,x,test\n",
        {},
        "as x in test, and images/a.jpg, the same file, in line 2 as x in train",
    ),
    "in two groups": (
        "path,label,patient\nimages/a.jpg,x,7\nimages/a.jpg,x,8\n",
        {},
        "as x of patient 8, and images/a.jpg, the same file, in line 2 as x of patient 7",
    ),
    "a column twice": ("path,label,label\nimages/a.jpg,x,y\n", {}, "expected each column once. Received label 2 times"),
    "a missing label": ("path,label\nimages/a.jpg,x\nimages/b.jpg,\n", {}, "line 3: expected a path and a label"),
    "missing labels": (
        "path,label\nimages/a.jpg,\nimages/b.jpg,\n",
        {},
        "images/a.jpg, and 1 more such rows. Complete or remove the rows",
    ),
    "a split that means nothing": ("path,label,split\nimages/a.jpg,x,tset\n", {}, "line 2: .* Received: tset"),
    "no folder": ("id,label\na,x\n", {"images_in": "none"}, "expected a directory. Received: .*none"),
}


@pytest.mark.parametrize(("text", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_certain_is_refused(listed, text, options, message):
    with pytest.raises(DataError, match=message):
        listed(text, **options)


@pytest.mark.parametrize("options", [{"group_by": "images"}, {"group_by": "images", "task": "multi_label"}])
def test_a_column_that_tells_no_groups_is_not_looked_for_in_paths(listed, options):
    with pytest.raises(DataError, match=r"by --group_by=images, a column\. Received none with two images"):
        listed("path,label,images\nimages/a.jpg,x,1\nimages/b.jpg,y,2\n", **options)


def test_a_column_without_a_name_tells_no_groups(listed):
    rows = ",path,label\n0,images/a.jpg,x\n0,images/b.jpg,y\n1,images/c.jpg,y\n"  # pandas' index, of two tables joined
    assert listed(rows).groups is None


def test_a_column_of_groups_is_found(listed):
    rows = "path,label,KIND\nimages/a.jpg,x,7\nimages/b.jpg,y,7\nimages/c.jpg,y,\n"
    groups = listed(rows.replace("KIND", "patient_id")).groups
    assert groups.by == "the column patient_id" and groups.names.tolist() == ["7", "7", ""]
    assert listed(rows.replace("KIND", "patient_id"), columns="group=none").groups is None
    assert listed(rows.replace("KIND", "house")).groups is None
    assert listed(rows.replace("KIND", "house"), columns="group=house").groups.names.tolist() == ["7", "7", ""]
    assert listed(rows.replace("KIND", "patient_id"), group_by="images").groups is None  # another way was asked for
    assert listed(rows.replace("KIND", "house"), group_by="house").groups.by == "the column house"
    assert listed("path,label,group\nimages/a.jpg,x,7\nimages/b.jpg,y,8\n").groups is None  # each image is alone
