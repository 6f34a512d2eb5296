"""Tests of tl_keras.reporting.finished_run."""

import json

import pytest
from golden_results import GOLDEN, golden_epochs, golden_result

from tl_keras.config import TransferConfig, to_json
from tl_keras.errors import DataError, WorkdirError
from tl_keras.reporting.finished_run import read_run
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.records import SoupResult

BEGIN = {
    "config": to_json(TransferConfig()),
    "data_hash": "ab",
    "splits": {"train": ["a.jpg"], "validation": ["b.jpg"], "test": ["c.jpg"]},
    "labels": ("cat", "dog"),
}


@pytest.fixture
def run(tmp_path):
    directory = RunDirectory(tmp_path / "cut" / "seed_0")
    directory.begin(**BEGIN)
    return directory


@pytest.mark.parametrize("name", sorted(path.name.split(".")[0] for path in GOLDEN.glob("*.result.json")))
def test_a_run_of_any_version_is_read(run, name):
    run.write_text("result.json", (GOLDEN / f"{name}.result.json").read_text())
    run.write_text("metrics.jsonl", (GOLDEN / f"{name}.metrics.jsonl").read_text())
    read = read_run(run.path)
    assert (read.name, read.split, read.result) == ("cut/seed_0", "test", golden_result(name))
    assert read.images == golden_result(name).images["test"]
    assert read.interval[0] < read.result.score < read.interval[1]
    assert read.epochs() == golden_epochs(name)


def test_where_the_kept_epoch_is_missing_the_file_is_damaged(run):
    run.write_result(golden_result())
    run.write_epochs(golden_epochs()[:-1])
    with pytest.raises(WorkdirError, match=r"metrics\.jsonl as training wrote it\. Received: 3 epochs of 4 or more"):
        read_run(run.path).epochs()


def test_a_run_that_is_not_finished_is_one_line(run):
    with pytest.raises(DataError, match=r"without metrics\.jsonl|without result\.json"):
        read_run(run.path)


@pytest.mark.parametrize("name", ["soup.json", "result.json"], ids=["of this version", "of an earlier version"])
def test_an_average_of_runs_names_those_that_have_a_report(run, name):
    soup = SoupResult(of=["none/seed_0", "all/seed_0"], validation_score=0.5, workdir="soup")
    (run.path / name).write_text(json.dumps(soup.to_json()))
    with pytest.raises(DataError, match=r"an average of 2 runs.*: none/seed_0, all/seed_0\.$") as raised:
        read_run(run.path)
    assert "\n" not in str(raised.value)
