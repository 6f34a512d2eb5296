"""Tests of tl_keras.advice.text_problems: faults planted in sentences are found, by a small teacher."""

import tracemalloc

import numpy as np
import pytest

from tests.text.tiny_bert import write_tiny_bert
from tl_keras.advice.candidates import Candidate
from tl_keras.advice.corrections import correctable
from tl_keras.advice.data_page import page
from tl_keras.advice.data_report import clean_splits, describe, inspect_closely, write_splits
from tl_keras.advice.text_problems import TextChecks, _letters, _script
from tl_keras.config import TransferConfig
from tl_keras.data.sources import open_source

pytest.importorskip("tokenizers")

PLACES = ("Where is the river {0} in Asia ?", "Which lake lies in region {0} ?")
ANIMALS = ("What does a cat of kind {0} eat ?", "How old can animal {0} become ?")
NAMES = [f"{a}{b}{c}" for a in "bdkm" for b in "aiou" for c in ("ran", "sel", "tov")]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    rows = [(PLACES[n % 2].format(name), "place", "train") for n, name in enumerate(NAMES)]
    rows += [(ANIMALS[n % 2].format(name), "animal", "train") for n, name in enumerate(NAMES)]
    rows += [
        ("where is the river BARAN, in Asia", "place", "test"),  # a copy across splits
        ("Where , in Asia , is the river Baran ?", "animal", "test"),  # nearly the same under another label
        ("Где река Обь на карте Азии ?", "place", "train"),
        (" ".join(["far"] * 200), "place", "train"),
        (" ", "place", "train"),
    ]
    lines = [f'"{text}",{label},{split}' for text, label, split in rows]
    (folder / "texts.csv").write_text("\n".join(["text,label,split", *lines]) + "\n", encoding="utf-8")
    teacher = write_tiny_bert(folder / "bert")
    config = TransferConfig()
    config.cache.folder = str(folder / "cache")
    return inspect_closely(open_source(f"csv:{folder / 'texts.csv'}"), Candidate(str(teacher)), config)


def texts_of(report, kind):
    """Returns the texts of the cases of a problem."""
    (problem,) = [problem for problem in report.problems if problem.kind == kind]
    where = {name: index for index, name in enumerate(report.source.ids)}
    return [{report.source.encoded_image(where[each]).decode() for each in row} for row in problem.rows]


def test_copies_that_differ_in_case_order_and_signs_are_found(report):
    three = {
        "Where is the river baran in Asia ?",
        "where is the river BARAN, in Asia",
        "Where , in Asia , is the river Baran ?",
    }
    assert texts_of(report, "copies across splits") == [three]
    assert texts_of(report, "copies with two labels") == [three]


@pytest.mark.parametrize(("kind", "begins"), [("other script", "Где"), ("cut", "far far"), ("undecodable", "")])
def test_what_the_teacher_cannot_read_is_named(report, kind, begins):
    ((text,),) = texts_of(report, kind)
    assert text.startswith(begins)


def test_it_is_said_with_the_beginning_of_the_texts(report):
    said = describe(report)
    assert "101 texts of 2 classes" in said and "'Где река Обь" in said and "image" not in said


def test_the_page_shows_texts_and_lets_them_be_relabelled(report):
    shown = page(report)
    assert "<blockquote>Где река Обь на карте Азии ?</blockquote>" in shown and "<img" not in shown
    table = correctable(report.source)
    assert table["columns"] == ["text", "label", "split"] and table["rows"][0][1] == "place"


def test_clean_splits_are_a_table_of_texts_that_training_reads(report, tmp_path):
    splits = clean_splits(report, TransferConfig())
    write_splits(report, splits, tmp_path / "clean.csv")
    read = open_source(f"csv:{tmp_path / 'clean.csv'}")
    assert (
        read.noun == "text" and len(read) == len(report.source) - 4
    )  # three copies with two labels, and the empty one


def test_letters_and_scripts():
    assert _letters("  What's Ünder; the SEA?") == "what s under the sea"
    assert [_script(text) for text in ("ß and ok", "Ελλάδα x", "12 !", "中文")] == ["latin", "greek", "", "cjk"]
    assert np.array_equal(_letters("?!"), "?!")


def test_one_long_text_takes_memory_for_itself_alone(tmp_path):
    texts = [*(f"Where is river {number} ?" for number in range(1000)), "far " * 30_000, "Where is river 7"]
    (tmp_path / "texts.csv").write_text("text,label\n" + "".join(f"{text},{len(text) % 2}\n" for text in texts))
    source = open_source(f"csv:{tmp_path / 'texts.csv'}")
    teacher = Candidate(str(write_tiny_bert(tmp_path / "bert")))
    checks = TextChecks(source, np.arange(len(source)), teacher, TransferConfig())
    tracemalloc.start()
    copies = checks.near_copies()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert copies[-1] == 7 and copies[-2] == 1000
    assert most < 100_000_000
