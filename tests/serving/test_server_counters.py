"""Tests of tl_keras.serving.server_counters; `test_worker_processes.py` adds up those of several processes."""

import pytest

pytest.importorskip("prometheus_client", reason="pip install 'tl_keras[serve]'")
from tl_keras.serving.server_counters import ServerCounters


def test_what_was_counted_is_in_the_text():
    counters = ServerCounters()
    counters.requests.labels("200").inc()
    counters.labels.labels("ein\n„Label“").inc(3)
    counters.batches.observe(3)
    lines = counters.text().decode().splitlines()
    assert 'tl_keras_requests_total{status="200"} 1.0' in lines
    assert 'tl_keras_answers_total{label="ein\\n„Label“"} 3.0' in lines
    assert 'tl_keras_batch_images_bucket{le="4.0"} 1.0' in lines and "tl_keras_outliers_total 0.0" in lines
