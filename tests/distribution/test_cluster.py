"""Tests of tl_keras.distribution.cluster."""

import json

import pytest

from tl_keras.distribution.cluster import Cluster, read_cluster
from tl_keras.errors import ConfigError

ADDRESSES = ("a:1", "b:2", "c:3")


@pytest.mark.parametrize(
    ("tasks", "kind", "index", "process"),
    [
        ({"worker": ADDRESSES}, "worker", 2, 2),
        ({"chief": ADDRESSES[:1], "worker": ADDRESSES[1:]}, "worker", 1, 2),
        ({"worker": ADDRESSES[1:], "chief": ADDRESSES[:1]}, "chief", 0, 0),
    ],
)
def test_processes_are_numbered_from_the_chief(monkeypatch, tasks, kind, index, process):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": tasks, "task": {"type": kind, "index": index}}))
    assert read_cluster() == Cluster(ADDRESSES, process)


@pytest.mark.parametrize("text", ["", "{}", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}'])
def test_one_process_is_no_cluster(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    assert read_cluster() is None


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '{"cluster": {"worker": ["a:1", "b:2"]}}',
        '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 2}}',
        '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": -1}}',
        '{"cluster": {"worker": ["a:1", "b:2"], "ps": ["c:3"]}, "task": {"type": "ps", "index": 0}}',
    ],
)
def test_what_cannot_be_read_is_one_line_with_an_example(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match=r"TF_CONFIG: expected JSON such as") as raised:
        read_cluster()
    assert "\n" not in str(raised.value)
