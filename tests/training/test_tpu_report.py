"""Tests of tl_keras.training.tpu_report; `tests/test_tpu_check.py` compiles, where there is a TPU's compiler."""

import dataclasses

import pytest

from tl_keras.distribution.tpu_compile import CompiledStep
from tl_keras.training.tpu_report import TpuReport

STEP = CompiledStep("jax", 4, 256, memory_bytes=3 * 2**30, flops=2e11, bytes_moved=5e9, all_reduces=209)
REPORT = TpuReport("v5e:2x2", "mixed_bfloat16", STEP, largest_batch=0, steps=100, least_seconds=0.5, least_cost=None)


def test_the_report_says_what_was_compiled_and_that_it_was_not_executed():
    text = REPORT.as_text()
    assert text.startswith("compiled for TPU v5e:2x2 (4 chips), one program of Keras on JAX over all of them")
    assert "not executed" in text
    assert "memory: 3.00 GiB per chip with a batch of 256: it fits\n" in text
    assert "200.0 GFLOP, 5.00 GB moved, 209 all-reduces" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"largest_batch": 1024}, "the largest batch that fits is 1024"),
        ({"least_cost": 0.0125}, "0.013 at your price"),
        ({"step": dataclasses.replace(STEP, backend="tensorflow")}, "of Keras on TensorFlow"),
    ],
)
def test_what_was_asked_for_more_is_said(change, said):
    assert said not in REPORT.as_text()
    assert said in dataclasses.replace(REPORT, **change).as_text()
