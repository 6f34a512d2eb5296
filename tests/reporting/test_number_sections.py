"""Tests of tl_keras.reporting.number_sections."""

import numpy as np
import pytest

from tl_keras.data.arrays import ArraySource
from tl_keras.reporting.number_sections import numbers_facts
from tl_keras.reporting.page import render
from tl_keras.reporting.reported_predictions import ReportedPredictions
from tl_keras.tasks.regression import Regression


def facts_of(labels, *, validation):
    """Facts of a page on numbers that are predicted one too large, by a task that saw some of them as validation."""
    source = ArraySource(np.zeros((len(labels), 8, 8, 3), np.uint8), np.arange(len(labels)) % 2)
    source.class_names, source.labels = ("age", "size"), labels
    task = Regression().with_labels(labels)
    logits = np.float32((labels + 1 - labels.mean(axis=0)) / labels.std(axis=0))
    task = task.with_predictions(logits[:validation], labels[:validation])
    return numbers_facts(None, ReportedPredictions(source, "test", np.arange(len(labels)), labels, logits, 1.0, task))


def test_the_page_says_how_much_its_intervals_promise():
    labels = np.random.default_rng(0).normal(50, 10, (30, 2))
    page = " ".join(render("sections/numbers.html", facts=facts_of(labels, validation=4)).split())
    assert "too few for one that holds 90%: it is to hold 80% of the numbers" in page
    assert "the band is the 80% interval" in page and "the band of the 80% interval" in page
    assert "90% interval" not in page
    page = " ".join(render("sections/numbers.html", facts=facts_of(labels, validation=30)).split())
    assert "is to hold 90% of the numbers" in page and "too few" not in page


def test_a_number_that_too_few_images_measure_has_no_interval():
    facts = facts_of(np.random.default_rng(0).normal(50, 10, (3, 2)), validation=3)
    assert "<td>-</td>" in render("sections/numbers.html", facts=facts)


def test_large_numbers_have_no_exponent():
    page = render(
        "sections/numbers.html", facts=facts_of(np.random.default_rng(0).normal(5e5, 1e5, (30, 2)), validation=9)
    )
    assert "e+0" not in page.partition("<svg")[0]


def test_a_page_of_texts_speaks_of_texts():
    facts = facts_of(np.random.default_rng(0).normal(50, 10, (30, 2)), validation=30)
    page = render("sections/numbers.html", facts={**facts, "noun": "text"})
    assert "the median of the training texts" in page and "image" not in page


def test_each_number_has_its_measures_and_two_figures():
    labels = np.random.default_rng(0).normal(50, 10, (30, 2))
    source = ArraySource(np.zeros((30, 8, 8, 3), np.uint8), np.arange(30) % 2)
    source.class_names, source.labels = ("age", "size"), labels
    task = Regression().with_labels(labels)
    logits = np.float32((labels + 1 - labels.mean(axis=0)) / labels.std(axis=0))  # each is one too large
    task = task.with_predictions(logits, labels)
    facts = numbers_facts(None, ReportedPredictions(source, "test", np.arange(30), labels, logits, 1.0, task))
    assert [name for name, *_ in facts["figures"]] == ["age", "size"]
    # A little less than 1: predictions go only as far from the mean as they held.
    assert facts["measures"]["columns"][0]["mean_absolute_error"] == pytest.approx(0.98, abs=0.01)
