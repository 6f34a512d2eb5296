"""Tests of tl_keras.console: what a terminal is given."""

import io
import subprocess
import sys

import pytest

from tl_keras.console import Level, in_digits, in_words, number_of, part_in_digits, printable, say, show_details


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cat", "cat"),
        (" Kätzchen 猫 🐈 ", " Kätzchen 猫 🐈 "),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\x85b\u2028c", r"a\x85b\u2028c"),
        ("gpj.\u202etxt", r"gpj.\u202etxt"),
        (b"f\xfcnf".decode("utf-8", "surrogateescape"), r"f\udcfcnf"),
    ],
)
def test_a_name_is_one_line_that_cannot_act_on_a_terminal(name, shown):
    assert printable(name) == shown


@pytest.mark.parametrize(
    ("encoding", "expected"), [("ascii", rb"\xfc \u732b \x1b[31m"), ("utf-8", "ü 猫".encode() + rb" \x1b[31m")]
)
def test_what_a_console_cannot_print_is_replaced_and_the_command_goes_on(encoding, expected):
    code = (
        "import sys; from tl_keras.console import protect_terminal; protect_terminal(); protect_terminal()\n"
        "text = chr(252) + ' ' + chr(0x732b) + ' ' + chr(27) + '[31m'\n"
        "print(text); print(text, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={"PYTHONIOENCODING": encoding, "PYTHONPATH": ":".join(sys.path)},
        check=True,
    )
    assert done.stdout.strip() == done.stderr.strip() == expected


def test_a_detail_is_said_only_where_details_are_shown(capsys):
    say("kept in /cache", Level.DETAIL)
    show_details()
    try:
        say("kept in /other", Level.DETAIL)
    finally:
        show_details(False)
    assert capsys.readouterr().err == "kept in /other\n"


def test_in_a_notebook_progress_is_not_shown_as_an_error(monkeypatch, capsys):
    class OutStream(io.StringIO):
        __module__ = "ipykernel.iostream"

    monkeypatch.setattr(sys, "stderr", OutStream())
    say("reading 5 images")
    assert capsys.readouterr().out == "reading 5 images\n"
    assert sys.stderr.getvalue() == ""


def test_one_is_singular_and_a_score_has_its_sign():
    assert [number_of(count, "test image") for count in (0, 1, 1200)] == [
        "0 test images",
        "1 test image",
        "1200 test images",
    ]
    assert in_words("r2") == "R²"
    assert in_words("mean_average_precision") == "mean average precision"


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        (0.5, "0.5000"),
        (0.9207220077514648, "0.9207"),
        (0.9999560117721558, "0.99996"),
        (0.9999999403953552, "0.9999999"),
        (0.00004, "0.00004"),
        (1.0, "1.0000"),
        (0.0, "0.0000"),
    ],
)
def test_a_part_that_is_not_the_whole_does_not_look_like_it(part, shown):
    assert part_in_digits(part) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2.676, "2.68"),
        (0.000123456, "0.000123"),
        (999.4, "999"),
        (999.6, "1,000"),
        (-1234.5, "-1,234"),
        (250_000.0, "250,000"),
        (3.1e12, "3.1e+12"),
    ],
)
def test_a_large_number_is_whole_and_a_small_one_has_three_digits(value, shown):
    assert in_digits(value) == shown
