"""Tests of tl_keras.reporting.tracking: each tracker's own package reads what was entered."""

import csv
import json
import shutil

import pytest

from tl_keras.errors import ConfigError, DependencyError
from tl_keras.reporting import tracking
from tl_keras.reporting.tracking import parse_trackers, track


@pytest.fixture
def run(compared, tmp_path):
    shutil.copytree(compared[0] / "long" / "seed_0", tmp_path / "run")
    return tmp_path / "run"


def test_csv_has_a_row_for_each_epoch(run, capsys):
    track(run, ["csv"])
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["validation_accuracy"]) <= 1
    track(run, ["csv"])
    assert capsys.readouterr().out.splitlines() == [
        f"logged: {run / 'metrics.csv'}",
        f"logged before: {run / 'metrics.csv'}",
    ]


def test_mlflow_has_settings_epochs_results_and_pages(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # its only store that needs no database and no server
    mlflow = pytest.importorskip("mlflow", reason="pip install mlflow-skinny")
    track(run, ["mlflow"])
    (entered,) = mlflow.MlflowClient().search_runs(["0"])
    result = json.loads((run / "result.json").read_text())
    assert entered.data.params["training.epochs"] == "2"
    assert entered.data.metrics["result/validation_accuracy"] == pytest.approx(result["validation_accuracy"])
    losses = mlflow.MlflowClient().get_metric_history(entered.info.run_id, "loss")
    assert [each.step for each in losses] == [1, 2]
    pages = {each.path for each in mlflow.MlflowClient().list_artifacts(entered.info.run_id)}
    assert {"config.json", "result.json", "report.html"} <= pages
    assert entered.info.run_id in capsys.readouterr().out


def test_wandb_keeps_the_run_on_the_disk_when_offline(run, monkeypatch, capsys):
    pytest.importorskip("wandb", reason="pip install wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    track(run, ["wandb"])
    (left,) = (run / "wandb").glob("offline-run-*/*.wandb")
    assert b"training.epochs" in left.read_bytes()
    assert capsys.readouterr().out.startswith("logged: run ")


def test_a_tracker_that_fails_is_a_line_and_the_others_go_on(run, monkeypatch, capsys):
    def down(run):
        raise ConnectionError("no server\nat that address")

    monkeypatch.setitem(tracking.TRACKERS, "mlflow", down)
    track(run, ["mlflow", "csv"])
    said = capsys.readouterr()
    assert said.err == "not logged by mlflow: no server\n"
    assert "metrics.csv" in said.out


def test_trackers_are_checked_before_a_run(monkeypatch):
    assert parse_trackers("csv, csv") == ("csv", "csv")
    with pytest.raises(ConfigError, match="Did you mean mlflow"):
        parse_trackers("mlflwo")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"pip install 'tl_keras\[wandb\]'"):
        parse_trackers("csv,wandb")
