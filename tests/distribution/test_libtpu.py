"""Tests of tl_keras.distribution.libtpu."""

import importlib.util
import os

import pytest

from tl_keras.distribution.libtpu import CHIPS, chip_of, prepare_libtpu
from tl_keras.errors import ConfigError, DependencyError


@pytest.mark.parametrize("topology", ["v4:2x2x1", "v5e:2x2", "v5p:2x2x1", "v6e:1x1"])
def test_a_topology_names_its_chip(topology):
    assert chip_of(topology) is CHIPS[topology.partition(":")[0]]


@pytest.mark.parametrize("topology", ["v3:2x2", "v5e", "v5e:", "v5e:4", "v5e:2x2x2x2", "v5e:axb"])
def test_another_is_one_line(topology):
    with pytest.raises(ConfigError, match=r"topology: expected a chip among .* such as v5e:2x2"):
        chip_of(topology)


def test_without_libtpu_the_line_to_run_is_printed_and_nothing_is_set(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "libtpu" else find(name))
    before = dict(os.environ)
    with pytest.raises(DependencyError, match=r"no libtpu.*pip install 'tl_keras\[tpu-check\]'"):
        prepare_libtpu()
    assert dict(os.environ) == before
