"""Tests of tl_keras.distribution.tpu_probe: each failure is a real process that fails in that way."""

import time

import pytest

from tl_keras.distribution.tpu_probe import find_tpu
from tl_keras.errors import DependencyError

TPU_OF_FOUR_CORES = """
from types import SimpleNamespace as N
distribute = N(cluster_resolver=N(TPUClusterResolver=lambda name: name))
config = N(experimental_connect_to_cluster=print, list_logical_devices=lambda kind: range(4))
tpu = N(experimental=N(initialize_tpu_system=print))
"""


def probe_with(tensorflow: str, folder, monkeypatch, *, seconds: float = 20.0):
    """Probes where `import tensorflow` runs this code."""
    (folder / "tensorflow.py").write_text(tensorflow)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return find_tpu(seconds=seconds)


@pytest.mark.parametrize(
    ("tensorflow", "said"),
    [
        ("import os; os.abort()", r"aborts .*signal 6.*pip install 'tl_keras\[tpu\]'"),
        ("import os; os._exit(1)", r"aborts .*no message.*pip install 'tl_keras\[tpu\]'"),
        ("raise ImportError('no such module')", r"no TensorFlow \(no such module\).*pip install"),
        ("def __getattr__(name): raise ValueError('TPUs not found')", r"no TPU \(TPUs not found\).*--strategy=auto"),
    ],
)
def test_a_failure_is_the_line_that_mends_it(tmp_path, monkeypatch, tensorflow, said):
    with pytest.raises(DependencyError, match=said) as raised:
        probe_with(tensorflow, tmp_path, monkeypatch)
    assert "\n" not in str(raised.value)


def test_a_tensorflow_that_hangs_is_ended_at_the_limit(tmp_path, monkeypatch):
    began = time.perf_counter()
    with pytest.raises(DependencyError, match=r"no answer in 2 seconds.*--strategy=cpu"):
        probe_with("import time; time.sleep(60)", tmp_path, monkeypatch, seconds=2)
    assert time.perf_counter() - began < 5


def test_two_builds_of_tensorflow_are_named_before_one_is_imported(tmp_path, monkeypatch):
    for name in ("tensorflow_tpu", "tensorflow_cpu"):
        (tmp_path / f"{name}-2.19.1.dist-info").mkdir()
        (tmp_path / f"{name}-2.19.1.dist-info" / "METADATA").write_text(f"Name: {name.replace('_', '-')}\n")
    with pytest.raises(DependencyError, match=r"tensorflow-tpu beside another.*tensorflow-cpu.*pip uninstall -y"):
        probe_with("import os; os.abort()", tmp_path, monkeypatch)


@pytest.mark.long
def test_the_tensorflow_installed_here_has_no_tpu():
    with pytest.raises(DependencyError, match=r"without TPU support|no TPU"):
        find_tpu(seconds=60)


def test_a_tpu_that_answers_is_counted(tmp_path, monkeypatch):
    monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v5litepod-4")
    found = probe_with(TPU_OF_FOUR_CORES, tmp_path, monkeypatch)
    assert (found.cores, found.description) == (4, "4 cores of v5litepod-4")
