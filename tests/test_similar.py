"""Tests of tl_keras.similar, the command; `tests/test_embed.py` searches what it has embedded."""

import pytest
from forked_commands import call_of_command, run_command

FOUND = [
    {"query": "a.jpg", "similar": [{"name": "b.jpg", "cosine": 0.98765}, {"name": "c\n.jpg", "cosine": 0.5}]},
    {"query": "d.jpg", "similar": [{"name": "e.jpg", "cosine": 0.25}]},
]


def test_the_text_has_a_line_for_each_image_and_of_several_queries_headings():
    assert call_of_command("similar", "as_text", FOUND).splitlines() == [
        "a.jpg:",
        "0.9877  b.jpg",
        "0.5000  c\\n.jpg",
        "d.jpg:",
        "0.2500  e.jpg",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--index=features.npz"], "flags: expected --query=IMAGE and --index=FILE"),
        (["--query=a.jpg", "--index=no_index.npz"], "index: expected a file of python -m tl_keras.embed"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments, said):
    process = run_command("similar", *arguments)
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith(f"error: {said}")
