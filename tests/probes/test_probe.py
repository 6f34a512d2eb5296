"""Tests of tl_keras.probes.probe: what out-of-fold answers say, and how sure that is."""

import numpy as np

from tl_keras.probes.probe import Probe


def test_the_standard_error_is_never_zero():
    assert Probe(np.eye(2), np.array([0, 1])).standard_error > 0.1
