"""Tests of tl_keras.reporting.comparison_report, by the command."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys

import pytest

from tl_keras.errors import DataError
from tl_keras.reporting.comparison_report import write_comparison
from tl_keras.reporting.finished_run import read_run


def test_runs_are_compared_without_tensorflow(compared, tmp_path):
    code = (
        "import sys; from tl_keras.reporting.comparison_report import write_comparison\n"
        "write_comparison(sys.argv[1:3], sys.argv[3]); print({'tensorflow', 'keras'} & set(sys.modules))"
    )
    runs = [compared[0] / name / "seed_0" for name in ("short", "long")]
    done = subprocess.run([sys.executable, "-c", code, *runs, tmp_path / "two.html"], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
    text = (tmp_path / "two.html").read_text()
    assert "All were measured on the same images." in text
    assert "training.epochs" in text
    assert "Validation by" in text and "Still rising" in text
    assert "training.learning_rate" not in text  # the same in both
    assert "p = " in text and "McNemar" in text  # both keep what they answered
    assert 'href="' in text and "long/seed_0/report.html" in text
    assert not re.search(r'href="[^"]*short/seed_0', text)  # which has no page


def test_runs_that_differ_in_the_seed_are_a_group_and_settings_are_said_in_words(compared, tmp_path):
    runs = []
    for seed, price in ((0, 0.0), (1, 2.0)):
        run = tmp_path / "long" / f"seed_{seed}"
        shutil.copytree(compared[0] / "long" / "seed_0", run)
        begun = json.loads((run / "config.json").read_text())
        begun["config"] |= {"seed": seed, "price_per_hour": price}
        (run / "config.json").write_text(json.dumps(begun))
        runs.append(run)
    text = write_comparison([*runs, compared[0] / "short" / "seed_0"], tmp_path / "three.html").read_text()
    assert re.search(r'<th scope="row">long</th><td>2</td>', text)
    assert re.search(r'<th scope="row">short</th><td>1</td>', text)
    assert "<td>unknown</td>" in text and "<td>2.0</td>" in text  # of the price
    two = write_comparison([compared[0] / name / "seed_0" for name in ("long", "short")], tmp_path / "two.html")
    assert "Runs that differ in their seeds" not in two.read_text()


def test_the_page_of_a_sweep_has_its_choice_and_its_picture(compared, tmp_path):
    runs = [compared[0] / name / "seed_0" for name in ("long", "short")]
    (tmp_path / "sweep.json").write_text('{"chosen": "blocks:2"}')
    (tmp_path / "sweep.png").write_bytes(b"\x89PNG")
    text = write_comparison(runs, tmp_path / "report.html").read_text()
    assert "The sweep chose blocks:2" in text and "data:image/png;base64,iVBORw==" in text


def test_runs_on_other_images_are_said_to_be(compared, in_memory, tmp_path):
    page = write_comparison([compared[0] / "long" / "seed_0", in_memory[0]], tmp_path / "two.html")
    assert "not all measured on the same images" in page.read_text()


def test_a_directory_without_a_run_is_one_line(compared, tmp_path):
    with pytest.raises(DataError, match="finished run") as raised:
        write_comparison([compared[0] / "long" / "seed_0", tmp_path], tmp_path / "two.html")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "two.html").exists()


def test_scores_of_different_tasks_and_a_run_named_twice_are_not_compared(compared, tmp_path):
    run = compared[0] / "long" / "seed_0"
    other = shutil.copytree(compared[0] / "short" / "seed_0", tmp_path / "other")
    result = dataclasses.replace(read_run(other).result, score_name="mean_average_precision")
    (other / "result.json").write_text(json.dumps(result.to_json()))
    with pytest.raises(
        DataError, match=r"the same score. Received: .* with accuracy and .* with mean average precision"
    ):
        write_comparison([run, other], tmp_path / "two.html")
    with pytest.raises(DataError, match=r"different runs. Received: .*seed_0 twice"):
        write_comparison([run, f"{run}/"], tmp_path / "two.html")
    assert not (tmp_path / "two.html").exists()
