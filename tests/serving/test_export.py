"""Tests of tl_keras.serving.export: signatures, versions, and the proof; on one student with a teacher of two convolutions."""

import json
import re
import shutil
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from forked_commands import run_command
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from tl_keras.errors import ConfigError, DependencyError, ExportError, WorkdirError
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.answering_models import KerasPredictor
from tl_keras.serving.export import export_run, meaning_of_outlier, newest_version
from tl_keras.serving.formats import FORMATS, require_converters
from tl_keras.serving.model_file import load_model
from tl_keras.serving.parity import ParityRecord


@pytest.fixture(scope="module")
def loaded(run):
    return tf.saved_model.load(str(run.path / "saved_model" / "1"))


@pytest.fixture(scope="module")
def expected(run, source):
    """What model.keras answers for the first twelve images, float32 (12, 3)."""
    images = source.images(np.arange(12)).map(lambda element: element["image"])
    return KerasPredictor(load_model(run.model)).probabilities(images, batch_size=12)


@pytest.fixture
def copy(run, tmp_path):
    """A run directory of one's own, with one export."""
    shutil.copytree(run.path, tmp_path / "run")
    return RunDirectory(tmp_path / "run")


def test_the_bytes_signature_answers_a_batch_of_any_sizes_and_kinds(loaded, source):
    png = tf.constant(source.encoded_image(0))
    pixels = tf.io.decode_png(png)
    jpeg = tf.io.encode_jpeg(tf.tile(pixels, [9, 5, 3]), quality=100)
    rgba = tf.io.encode_png(tf.tile(pixels, [1, 2, 4]))
    answer = loaded.signatures["serving_default"](image_bytes=tf.stack([png, jpeg, rgba]))
    assert {name: value.shape.as_list() for name, value in answer.items()} == {
        "probabilities": [3, 3],
        "label": [3],
        "score": [3],
        "top_k_labels": [3, 3],
        "top_k_scores": [3, 3],
        "outlier": [3],
    }


def test_labels_and_scores_are_those_of_the_probabilities(loaded, source, expected):
    files = tf.constant([source.encoded_image(index) for index in range(12)])
    answer = loaded.signatures["serving_default"](image_bytes=files)
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    np.testing.assert_allclose(answer["score"], expected.max(-1), atol=1e-5)
    assert [label.decode() for label in answer["label"].numpy()] == [source.class_names[i] for i in expected.argmax(-1)]
    np.testing.assert_array_equal(answer["top_k_labels"][:, 0], answer["label"])


def test_the_other_signatures_give_the_same_numbers(loaded, source, expected):
    files = [source.encoded_image(index) for index in range(12)]
    pixels = tf.stack([tf.io.decode_png(file, channels=3) for file in files])
    by_pixels = loaded.signatures["images"](images=pixels)["probabilities"]
    example = [
        tf.train.Example(
            features=tf.train.Features(feature={"image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[file]))})
        ).SerializeToString()
        for file in files
    ]
    by_example = loaded.signatures["tf_example"](examples=tf.constant(example))["probabilities"]
    np.testing.assert_allclose(by_pixels, expected, atol=1e-5)
    np.testing.assert_allclose(by_example, expected, atol=1e-5)


def test_the_features_are_those_that_the_outlier_score_was_fitted_on(loaded, run, source):
    files = tf.constant([source.encoded_image(index) for index in range(4)])
    assert list(loaded.signatures["logits"](image_bytes=files)) == ["logits"]
    features = loaded.signatures["features"](image_bytes=files)["features"]
    outlier = loaded.signatures["serving_default"](image_bytes=files)["outlier"]
    assert features.shape == (4, 16)
    np.testing.assert_allclose(load_model(run.model).statistics.outliers.score(features), outlier, rtol=1e-3)


def test_the_weights_are_stored_once(run):
    weights = 4 * load_model(run.model).model.count_params()
    stored = sum(file.stat().st_size for file in (run.path / "saved_model" / "1").rglob("*") if file.is_file())
    assert stored < 1.5 * weights + 400_000  # the graphs, and the components of the outlier score


def test_the_graph_holds_standard_operations_only(run):
    graph = (
        SavedModel.FromString((run.path / "saved_model" / "1" / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    )
    operations = {node.op for function in graph.library.function for node in function.node_def}
    assert not {name for name in operations if "PyFunc" in name or "Xla" in name or "TPU" in name or "Random" in name}
    assert "FusedBatchNormV3" not in operations
    assert "DecodeJpeg" in operations


def test_the_facts_go_with_the_export(run, source):
    folder = run.path / "saved_model" / "1" / "assets.extra"
    facts = json.loads((folder / "tl_keras.json").read_text())
    assert tuple(facts["class_names"]) == source.class_names
    lines = (folder / "labels.txt").read_text(encoding="utf-8").splitlines()
    assert lines == [r" fünf\n\x85\u2028\x1b[31m ", "seven", "three"]
    assert facts["preprocess"]["image_size"] == 16
    assert {"JPEG", "PNG", "BMP", "GIF"} <= set(facts["image_formats"])
    assert (facts["max_pixels"], facts["max_jpeg_scans"]) == (50_000_000, 100)
    assert facts["temperature"] == load_model(run.model).statistics.temperature
    assert len(facts["run_sha256"]) == 64


def with_another_crop(model):
    """Rewrites what a model.keras says of its preprocessing."""
    with zipfile.ZipFile(model) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    facts = json.loads(entries["tl_keras.json"])
    facts["preprocess"] |= {"rule": "central_fraction", "crop_fraction": 0.5}
    with zipfile.ZipFile(model, "w") as archive:
        for name, content in (entries | {"tl_keras.json": json.dumps(facts)}).items():
            archive.writestr(name, content)


def test_another_crop_in_the_export_fails_and_leaves_the_older_version_alone(copy):
    with_another_crop(copy.model)
    with pytest.raises(ExportError, match="a difference of"):
        export_run(copy.path, ("saved_model",))
    assert [path.name for path in (copy.path / "saved_model").iterdir()] == ["1"]


@pytest.mark.slow
def test_a_first_export_that_fails_leaves_nothing(copy):
    shutil.rmtree(copy.path / "saved_model")
    proof = ParityRecord.load(copy.proof)
    ParityRecord(proof.images, proof.logits[::-1]).save(copy.proof)
    with pytest.raises(ExportError):
        export_run(copy.path, ("saved_model",))
    assert not (copy.path / "saved_model").exists()


def test_a_directory_that_is_no_run_is_one_line(tmp_path):
    with pytest.raises(WorkdirError, match="workdir: expected a run directory"):
        export_run(tmp_path, ("saved_model",))


def test_every_format_of_the_config_is_there():
    from tl_keras.config import EXPORTS

    assert tuple(FORMATS) == EXPORTS


def test_all_absent_converters_are_named_at_once_with_the_line_to_run(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    formats = ("saved_model", "litert", "litert_int8", "onnx", "openvino")
    line = r"ai_edge_litert, tf2onnx, onnxruntime, openvino\. .* pip install 'tl_keras\[litert,onnx,openvino\]'$"
    with pytest.raises(DependencyError, match=line):
        require_converters(formats)


@pytest.mark.long
def test_the_command_exports_the_next_version_and_says_how_it_compares(copy):
    done = run_command("export", f"--workdir={copy.path}")
    assert done.returncode == 0, done.stderr
    assert newest_version(copy.path / "saved_model").name == "2"
    assert done.stdout.startswith("saved_model/2 ")
    assert float(re.search(r"largest difference (\S+) of the largest logit", done.stdout)[1]) <= 1e-5
    assert "top-1 agreement 1.000" in done.stdout


def test_an_unknown_format_is_one_line():
    from tl_keras.config import export_formats

    with pytest.raises(ConfigError, match="Did you mean onnx"):
        export_formats("onxx")


@pytest.mark.parametrize(
    ("threshold_of", "noun", "expected"),
    [
        (
            "validation",
            "image",
            "distance from the training images; above 1: farther than 95% of the validation images",
        ),
        ("test", "text", "distance from the training texts; above 1: farther than 95% of the test texts"),
        (
            "training",
            "image",
            "distance from one half of the training images; above 1: farther than 95% of the other half",
        ),
        ("unknown", "image", "distance from the training images; above 1: farther than 95% of other images"),
    ],
)
def test_a_client_is_told_which_images_the_outlier_score_was_fitted_to(threshold_of, noun, expected):
    assert meaning_of_outlier(threshold_of, noun) == expected


def test_the_facts_say_what_the_outlier_score_means(run):
    facts = json.loads((run.path / "saved_model" / "1" / "assets.extra" / "tl_keras.json").read_text())
    assert facts["outlier"].endswith("95% of the validation images")
