"""Tests of tl_keras.data.text_lines: texts of a file, one per line or in a column."""

import pytest

from tl_keras.data.text_lines import read_texts
from tl_keras.errors import DataError


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.txt", "\ufeffWho?\n\n  \nWhat, then?\n"), ("a.csv", 'id,text\n1,Who?\n2,"What, then?"\n')],
)
def test_texts_are_read_in_order(tmp_path, monkeypatch, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_texts(tmp_path / name) == read_texts(f"csv:~/{name}") == ["Who?", "What, then?"]


def test_a_line_ends_where_a_line_ends_and_at_no_other_separator(tmp_path):
    (tmp_path / "a.txt").write_bytes("one\u2028text\r\nan\x0cother\x85\rlast".encode())
    assert read_texts(tmp_path / "a.txt") == ["one\u2028text", "an\x0cother\x85", "last"]


@pytest.mark.parametrize("name", ["a.txt", "a.csv"])
def test_what_is_not_in_utf_8_is_read_as_western_windows_and_said(tmp_path, name, capsys):
    (tmp_path / name).write_bytes("text\nvoilà\n".encode("cp1252"))
    assert read_texts(tmp_path / name)[-1] == "voilà"
    assert "read as cp1252" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_other_encodings_of_unicode_are_read(tmp_path, encoding, capsys):
    (tmp_path / "a.txt").write_bytes("Who?\nWhat, then?\n".encode(encoding))
    assert read_texts(tmp_path / "a.txt") == ["Who?", "What, then?"]
    assert not capsys.readouterr().err


@pytest.mark.parametrize(("name", "content"), [("a.txt", " \n"), ("a.csv", "id,photo\n1,a.jpg\n"), ("none.txt", None)])
def test_a_file_without_texts_is_one_line(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match="expected"):
        read_texts(tmp_path / name)
