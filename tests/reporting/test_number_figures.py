"""Tests of tl_keras.reporting.number_figures."""

import numpy as np
import pytest

from tl_keras.reporting.number_figures import errors_by_tenth, predicted_against_measured

VALUES = np.linspace(0, 100, 40)
PREDICTED = VALUES + np.where(VALUES > 50, -10, 1)


def test_predictions_are_drawn_with_their_band():
    picture = predicted_against_measured(VALUES, PREDICTED, half_width=5, promised=0.9, name="age & size")
    assert "50% lie inside the band" in picture.description
    assert "age &amp; size, measured" in picture.svg


@pytest.mark.parametrize(("images", "tenths"), [(40, 10), (3, 3)])
def test_errors_lean_where_they_lean(images, tenths):
    picture = errors_by_tenth(VALUES[:images], PREDICTED[:images], name="age")
    leans = picture.description.rpartition(": ")[2].rstrip(".").split(", ")
    assert len(leans) == tenths
    assert leans[0] == "+1"
    assert leans[-1] == ("-10" if images == 40 else "+1")


def test_the_sentence_on_large_errors_has_no_exponent():
    values = 1e6 * np.arange(20)
    description = errors_by_tenth(values, values + 250_000, name="price").description
    assert description.endswith("+250,000.") and "e+0" not in description
