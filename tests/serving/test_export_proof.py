"""Tests of tl_keras.serving.proof; the comparison is tested with the exports, in test_export.py."""

import numpy as np
import pytest

from tl_keras.errors import ExportError
from tl_keras.serving import proof


def test_a_runtime_that_does_not_answer_in_time_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(proof, "_SECONDS_TO_ANSWER", 0.01)
    with pytest.raises(ExportError, match=r"answers within 0\.01 seconds\. Received: no answer"):
        proof.answers_in_fresh_process("saved_model", tmp_path, [np.zeros(1, np.uint8)])
