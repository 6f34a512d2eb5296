"""Fixtures that several tests share: where the real weights and photos are, and a few real images on disk."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable

# Before Keras is imported: nothing is downloaded, and nothing in the home directory is read.
_ROOT = pathlib.Path(__file__).resolve().parent.parent
_SHARED = pathlib.Path(os.environ.get("TL_KERAS_TEST_DATA") or _ROOT.parent / "shared" / "data")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as `tl_keras.command_line` does
if _SHARED.is_dir():
    os.environ["KERAS_HOME"] = str(_SHARED / "keras_home")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from no_skips import pytest_addoption, pytest_sessionfinish, pytest_terminal_summary  # noqa: E402, F401


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """The folder with real ImageNet weights and real photos; the test is skipped where it is not."""
    if not _SHARED.is_dir():
        pytest.skip(f"needs real weights and photos: set TL_KERAS_TEST_DATA, or put them into {_SHARED}")
    return _SHARED


@pytest.fixture(autouse=True, scope="module")
def nothing_stays_registered():
    """Takes back the backbones and tasks that a module's tests or examples registered, whatever runs after it in the process."""
    from tl_keras.backbones import specs
    from tl_keras.tasks import base, single_label  # noqa: F401  # which registers itself

    base.task_named("auto")  # the package's own register themselves once, and stay
    tables = (specs._table(), base._TASKS)
    before = [dict(table) for table in tables]
    yield
    for table, kept in zip(tables, before, strict=True):
        table.clear()
        table.update(kept)


@pytest.fixture(scope="session")
def small_teacher(tmp_path_factory) -> pathlib.Path:
    """A teacher of two convolutions, in a file: starting takes a run longer than training."""
    import keras

    from tl_keras.backbones.teacher_files import EXAMPLE

    file = tmp_path_factory.mktemp("teacher") / "teacher.keras"
    images = keras.Input((16, 16, 3))
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(keras.layers.Conv2D(8, 3, strides=2)(images)))
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(keras.layers.Conv2D(16, 3)(x)))
    teacher = keras.Model(images, x)
    # The same kernels in each session, whatever has drawn random numbers before.
    random = np.random.default_rng(1)
    for weight in teacher.trainable_weights:
        if weight.name == "kernel":
            limit = (6 / (9 * sum(weight.shape[2:]))) ** 0.5  # Glorot uniform, the layer's own
            weight.assign(random.uniform(-limit, limit, weight.shape))
    teacher.save(file)
    preprocess = dataclasses.replace(EXAMPLE, image_size=16)
    file.with_suffix(".preprocess.json").write_text(json.dumps(preprocess.to_json()))
    return file


@pytest.fixture(scope="session")
def made_once(tmp_path_factory, worker_id) -> Callable[[str, Callable[[pathlib.Path], object]], pathlib.Path]:
    """A function that returns a folder of a name, made by the first worker of pytest-xdist that asks and read by all."""
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent

    def made_once(name, make):
        made = shared / f"{name}.made"
        with made.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not made.stat().st_size:
                make(shared / name)
                file.write("yes")
        return shared / name

    return made_once


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium, driven by Playwright; the test is skipped where either is not there."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def served():
    """A function that serves an application in this process while its context lasts, and gives its address."""

    @contextlib.contextmanager
    def served(app):
        import uvicorn

        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
        thread.start()
        while not server.started:
            assert thread.is_alive()
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()

    return served


@pytest.fixture(scope="session")
def _fork_server():
    from forked_runtimes import ForkServer

    server = ForkServer()
    yield server
    server.close()


@pytest.fixture(scope="module", autouse=True)
def _saved_models_are_asked_in_forks(_fork_server):
    """Has the exports of a module whose tests export proven in a process that is forked instead of started."""
    export = sys.modules.get("tl_keras.serving.export")
    if export is None:
        yield
        return

    class ForkedProcess(export.FreshProcess):
        def __init__(self, runtime, *, output_name="probabilities"):
            if runtime == "saved_model":
                self._process = _fork_server.fork(runtime, output_name)
            else:
                super().__init__(runtime, output_name=output_name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "FreshProcess", ForkedProcess)
        yield


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory) -> None:
    """Keeps what is cached or left behind, by this process and those that it starts, out of the user's folders."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["TMPDIR"] = tempfile.tempdir = str(tmp_path_factory.mktemp("tmp"))
