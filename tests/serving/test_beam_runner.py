"""Tests of tl_keras.serving.beam_runner, in this process."""

import pathlib

import pytest

beam = pytest.importorskip("apache_beam", reason="pip install 'tl_keras[beam]'")
from tl_keras.errors import ConfigError, WorkdirError  # noqa: E402
from tl_keras.serving.beam_runner import run_parts  # noqa: E402

HERE = ["direct_running_mode=in_memory"]


class Touch(beam.DoFn):
    """Leaves a file for each part."""

    def process(self, element):
        if element.endswith("bad"):
            raise ValueError("it is bad")
        pathlib.Path(element).touch()


def test_each_part_is_computed(tmp_path):
    run_parts([str(tmp_path / name) for name in "abc"], Touch(), HERE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


@pytest.mark.parametrize("options", [["no_such_option=1"], ["--direct_running_mode=backwards"]])
def test_an_option_that_beam_does_not_know_is_one_line(options, tmp_path, capfd):
    with pytest.raises(ConfigError, match="beam_pipeline_options: expected options of Apache Beam"):
        run_parts([str(tmp_path / "a")], Touch(), options)


def test_what_fails_in_a_part_is_one_line(tmp_path):
    with pytest.raises(WorkdirError, match=r"beam: expected each of 1 part to be computed.*it is bad") as failed:
        run_parts([str(tmp_path / "bad")], Touch(), HERE)
    assert "\n" not in str(failed.value)
