"""A teacher with the 1000 classes it was trained on gives the same answers through the pipeline, `evaluate` and the export."""

import csv

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from tl_keras.builder import build_student, choose_backbone
from tl_keras.config import ModelConfig, TransferConfig, to_json
from tl_keras.data.sources import SourceOptions, open_source
from tl_keras.experiments.measure import evaluate_model
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.export import export_run
from tl_keras.serving.model_file import save_model
from tl_keras.serving.parity import make_parity_record
from tl_keras.serving.predictor import load_predictor
from tl_keras.serving.student_statistics import fit_student_statistics, make_predict_fn
from tl_keras.tasks.single_label import SINGLE_LABEL

CLASSES = tuple(f"{position:03}" for position in range(1000))


TEACHERS = [
    pytest.param(("MobileNetV2", 1.0, 0.88), marks=pytest.mark.slow, id="MobileNetV2"),
    pytest.param(("MobileNet", 0.25, 0.55), id="MobileNet"),
]


@pytest.fixture(scope="module", params=TEACHERS)
def taught(request, shared_data, tmp_path_factory):
    """A run directory whose student is the teacher with its own top; the photos; what training's pipeline gives for them."""
    name, alpha, top_1 = request.param
    config = ModelConfig(backbone=name, alpha=alpha, weights="imagenet", method="feature_extraction", unfreeze="none")
    student = build_student(choose_backbone(config), config, num_classes=len(CLASSES))
    top = getattr(keras.applications, name)(weights="imagenet", alpha=alpha)
    kernels = [weight for weight in top.weights if weight.shape[-1] == len(CLASSES)]
    student.head[-1].set_weights([kernels[0].numpy().reshape(-1, len(CLASSES)), kernels[1].numpy()])

    run = RunDirectory(tmp_path_factory.mktemp("runs") / name)
    table = run.path.with_suffix(".csv")
    with table.open("w", newline="") as file:
        photos = sorted((shared_data / "imagenet_samples").glob("*.JPEG"))
        csv.writer(file).writerows([("path", "label"), *((photo, photo.name[:3]) for photo in photos)])
    source = open_source(f"csv:{table}", SourceOptions(task="single_label"))  # the numbers of the classes
    labels = np.array(source.class_names, int)[source.labels]

    everything = np.arange(len(source))
    features, logits = make_predict_fn(student, source, global_batch_size=32)(everything)
    statistics = fit_student_statistics(
        train_features=features,
        validation_features=features,
        validation_logits=logits,
        validation_labels=labels,
        classes=len(CLASSES),
        task=SINGLE_LABEL,
    )
    splits = {"train": list(source.ids), "validation": list(source.ids), "test": []}
    run.begin(config=to_json(TransferConfig()), data_hash="", splits=splits, labels=CLASSES)
    save_model(student, run.model, class_names=CLASSES, statistics=statistics, task=SINGLE_LABEL)
    make_parity_record(source, everything[:8], logits[:8]).save(run.proof)
    run.release()
    export_run(run.path, ["saved_model"], source=source)
    assert np.mean(logits.argmax(-1) == labels) >= top_1
    return run.path, source, labels, softmax(logits / statistics.temperature, axis=-1)


@pytest.mark.long
def test_evaluate_gives_the_pipelines_accuracy(taught):
    workdir, source, labels, expected = taught
    assert evaluate_model(workdir, source)["accuracy"] == np.mean(expected.argmax(-1) == labels)


def test_the_saved_model_gives_the_same_probabilities_from_the_files_bytes(taught):
    workdir, source, _, expected = taught
    files = tf.data.Dataset.from_tensor_slices([source.encoded_image(index) for index in range(len(source))])
    answers = load_predictor(workdir / "saved_model").probabilities(files, batch_size=32)
    np.testing.assert_allclose(answers, expected, atol=1e-5)
