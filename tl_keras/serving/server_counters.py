"""Counts what a server answers, for Prometheus; where several processes answer at one address, for all of them."""

from __future__ import annotations

import functools
import os

import prometheus_client
import prometheus_client.multiprocess

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST


class ServerCounters:
    """The counters of this process.

    Attributes:
      requests: Predict requests, by HTTP status.
      labels: Images answered, by label.
      outliers: Answers whose `outlier` is above 1.
      seconds: Times to answer a request.
      batches: Numbers of images answered at a time.
    """

    def __init__(self) -> None:
        self._registry = prometheus_client.CollectorRegistry()
        counter = functools.partial(prometheus_client.Counter, registry=self._registry)
        self.requests = counter("tl_keras_requests_total", "Predict requests, by HTTP status.", ["status"])
        self.labels = counter("tl_keras_answers_total", "Images answered, by label.", ["label"])
        self.outliers = counter("tl_keras_outliers_total", "Answers whose outlier is above 1.")
        self.seconds = prometheus_client.Histogram(
            "tl_keras_request_seconds", "From a request's first byte to its answer.", registry=self._registry
        )
        self.batches = prometheus_client.Histogram(
            "tl_keras_batch_images",
            "Images answered at a time.",
            registry=self._registry,
            buckets=(1, 2, 4, 8, 16, 32, 64),
        )

    def text(self) -> bytes:
        """Returns the counters in Prometheus's format, those of all processes if there are several."""
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # which `worker_processes.py` sets
            registry = prometheus_client.CollectorRegistry()
            prometheus_client.multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return prometheus_client.generate_latest(registry)
