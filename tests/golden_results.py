"""Results that real runs wrote, for tests of what reads them; see `tests/runs/test_records.py`."""

import dataclasses
import json
import pathlib

from tl_keras.runs.records import EpochRecord, RunResult

GOLDEN = pathlib.Path(__file__).parent / "runs" / "golden"


def golden_result(name="fine_tune", **changes):
    """Returns a run's result with some attributes replaced."""
    result = RunResult.from_json(json.loads((GOLDEN / f"{name}.result.json").read_text()))
    return dataclasses.replace(result, **changes)


def golden_epochs(name="fine_tune"):
    """Returns a run's epochs."""
    lines = (GOLDEN / f"{name}.metrics.jsonl").read_text().splitlines()
    return [EpochRecord.from_json(json.loads(line)) for line in lines]
