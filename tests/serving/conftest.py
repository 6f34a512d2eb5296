"""One run directory for all tests of serving: a teacher of two convolutions under an untrained head, on scikit-learn's digits."""

import shutil

import numpy as np
import pytest

from tl_keras.builder import build_student, choose_backbone
from tl_keras.config import quick_start, resolve, to_json
from tl_keras.data.arrays import ArraySource
from tl_keras.data.inspection import inspect_source
from tl_keras.data.sources import open_source
from tl_keras.data.splits import split_source
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.export import export_run
from tl_keras.serving.package import package_student
from tl_keras.serving.predictor import predict_images
from tl_keras.serving.student_statistics import make_predict_fn
from tl_keras.tasks.single_label import SINGLE_LABEL

# Beyond ASCII, with spaces at both ends, every kind of line break, and an escape code.
AWKWARD = " fünf\n\x85\u2028\x1b[31m "


@pytest.fixture(scope="session")
def source():
    """Three digits, forty scans each, as a source in memory; an awkward name goes through all that serves it."""
    digits = open_source("digits")
    chosen = np.concatenate([np.flatnonzero(digits.labels == label)[:40] for label in (3, 5, 7)])
    pixels = np.stack([element["image"].numpy() for element in digits.images(chosen)])
    return ArraySource(
        pixels, np.array(["three", AWKWARD, "seven"])[np.searchsorted([3, 5, 7], digits.labels[np.sort(chosen)])]
    )


@pytest.fixture(scope="session")
def run(made_once, source, small_teacher):
    """A run directory with model.keras, proof.npz and saved_model/1, and images/ with ten PNG files."""

    def make(path):
        config = quick_start()
        config.model.backbone, config.model.weights = str(small_teacher), "imagenet"
        run = make_run(path, source, config)
        export_run(run, ("saved_model",))
        (run.path / "images").mkdir()
        for index in range(10):
            (run.path / "images" / f"{index}.png").write_bytes(source.encoded_image(index * 12))

    return RunDirectory(made_once("served", make))


@pytest.fixture(scope="session")
def embedded(source, tmp_path_factory):
    """A run directory with the embedded teacher, of whose convolutions every second is depthwise, and without an export."""
    return RunDirectory(make_run(tmp_path_factory.mktemp("embedded") / "run", source, quick_start()).path)


@pytest.fixture(scope="session")
def exported(made_once, run):
    """A copy of the run with an export to LiteRT and one to OpenVINO."""
    pytest.importorskip("openvino", reason="pip install 'tl_keras[openvino]'")
    pytest.importorskip("ai_edge_litert", reason="pip install 'tl_keras[litert]'")

    def export(path):
        shutil.copytree(run.path, path, dirs_exist_ok=True)
        export_run(RunDirectory(path), ("litert", "openvino"))

    return made_once("exported", export)


@pytest.fixture(scope="session")
def predicted(run):
    """What `predict_images` gives for images/, in the order of their names, with the three best labels of each."""
    return predict_images(run.path, [run.path / "images"], top_k=3)


def make_run(path, source, config):
    """Makes a run directory with model.keras and proof.npz."""
    config = resolve(config)
    student = build_student(choose_backbone(config.model), config.model, num_classes=3)
    inspection = inspect_source(source)
    splits = split_source(source, inspection, validation_fraction=0.3, test_fraction=0.1, seed=0)
    run = RunDirectory(path)
    run.begin(
        config=to_json(config),
        data_hash=inspection.data_hash,
        splits=splits.to_json(source, inspection),
        labels=source.class_names,
    )
    package_student(
        student,
        run,
        source,
        splits,
        predict=make_predict_fn(student, source, global_batch_size=32),
        task=SINGLE_LABEL,
    )
    return run
