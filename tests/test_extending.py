"""A task, a source and a backbone from outside the package, by public names only, trained to the export."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import tl_keras


def ToyNet(*, include_top, weights, input_shape):  # noqa: N802
    """Builds a network of two convolutions, as a constructor of keras.applications does."""
    images = x = keras.Input(input_shape)
    for number, channels in enumerate((8, 16), start=1):
        x = keras.layers.Conv2D(channels, 3, strides=2, name=f"conv{number}")(x)
        x = keras.layers.ReLU(name=f"relu{number}")(x)
    return keras.Model(images, x)


TOY_NET = tl_keras.BackboneSpec(
    name="ToyNet",
    module="mobilenet_v2",  # whose `preprocess_input` it has
    min_image_size=16,
    feature_dim=16,
    parameters=1392,
    parameters_with_top=18392,
    imagenet_top1=0.0,
    blocks=(tl_keras.BlockSpec("block 1", "relu1"), tl_keras.BlockSpec("block 2", "relu2")),
    weights=(
        tl_keras.WeightsSpec(
            name="imagenet",
            preprocess=tl_keras.PreprocessSpec(
                image_size=24,
                rule="squash",
                crop_fraction=1.0,
                interpolation="bilinear",
                antialias=True,
                normalization="tf",
            ),
            source="this test",
        ),
    ),
    constructor_package=__name__,
)


class BrightOrDark(tl_keras.RandomAccessSource):
    """Images of one grey level and some noise; the levels decide the class."""

    def __init__(self, images):
        super().__init__(
            name="bright_or_dark",
            class_names=("dark", "bright"),
            ids=[f"image:{number}" for number in range(images)],
            labels=np.arange(images) % 2,
            declared_splits=np.full(images, ""),
        )

    def read(self, index):
        noise = tf.random.stateless_uniform((20, 28, 3), tf.stack([index, 0]), 0, 100)
        return tf.cast(noise + 150 * tf.cast(index % 2, tf.float32), tf.uint8)

    def encoded_image(self, index):
        return tf.io.encode_png(self.read(tf.constant(index, tf.int64))).numpy()


class OneLogit(tl_keras.Task):
    """Two classes told apart by one logit: neither softmax nor one-hot labels."""

    name = "one_logit"
    score_name = "part_right"
    report_sections = ("examples",)

    def outputs(self, class_names):
        return 1

    def targets(self, labels, outputs):
        return tf.cast(labels, tf.float32)[..., tf.newaxis]

    def class_weights(self, labels, outputs):
        return np.ones(outputs, np.float32)

    def loss(self, *, label_smoothing, class_weights):
        return lambda targets, logits: keras.losses.binary_crossentropy(targets, logits, from_logits=True)

    def metric(self):
        return keras.metrics.BinaryAccuracy(name="part_right", threshold=0.0)

    def selection(self, images, scores):
        return tl_keras.SingleLabel().selection(images, scores)

    def score(self, logits, labels):
        return float(np.mean(self.decide(logits) == labels))

    def decide(self, logits):
        return (logits[:, 0] > 0).astype(np.int64)

    def calibrate(self, logits, labels):
        return tl_keras.SingleLabel().calibrate(np.concatenate([np.zeros_like(logits), logits], axis=1), labels)

    def probabilities(self, logits):
        return tf.sigmoid(logits)

    def class_probabilities(self, probabilities):
        return np.concatenate([1 - probabilities, probabilities], axis=1)

    def evidence(self, logits, answers):
        return logits[:, 0] * (2.0 * answers - 1)

    def answers(self, probabilities, class_names):
        return {
            "probabilities": probabilities,
            "label": tf.gather(tf.constant(class_names), tf.cast(probabilities[:, 0] > 0.5, tf.int32)),
        }


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The run directory and the result of a run on all three."""
    tl_keras.register_backbone(TOY_NET)
    tl_keras.register_task(OneLogit())
    config = tl_keras.TransferConfig(task="one_logit")
    config.model.backbone, config.model.weights, config.model.method = "ToyNet", "none", "replicate"
    config.training.epochs, config.training.global_batch_size = 4, 8
    workdir = tmp_path_factory.mktemp("outside") / "run"
    return workdir, tl_keras.train_and_evaluate(config, workdir, source=BrightOrDark(60))


@pytest.mark.long
def test_it_learns(trained):
    _, result = trained
    assert result.backbone == "ToyNet"
    assert result.test_score == result.test_part_right == 1.0


def test_its_score_has_its_name_and_an_interval(trained):
    workdir, _ = trained
    written = json.loads((workdir / "result.json").read_text())
    assert (written["score_name"], written["test_part_right"]) == ("part_right", 1.0)
    assert 0.5 < written["interval"][0] < written["interval"][1] == 1.0  # a perfect score of few images has a width
    assert not [key for key in written if "accuracy" in key]
    epochs = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert all(0 <= epoch["validation_part_right"] <= 1 for epoch in epochs)


def test_it_is_served_with_the_outputs_of_its_task(trained):
    workdir, _ = trained
    serve = tf.saved_model.load(str(workdir / "saved_model" / "1")).signatures["serving_default"]
    source = BrightOrDark(2)
    answers = serve(image_bytes=tf.constant([source.encoded_image(0), source.encoded_image(1)]))
    assert answers["label"].numpy().tolist() == [b"dark", b"bright"]
    assert set(answers) == {"probabilities", "label", "outlier"}


@pytest.mark.long
@pytest.mark.parametrize("model", ["", "saved_model"])
def test_predictions_and_measures_are_those_of_its_task(trained, model):
    workdir, _ = trained
    source = BrightOrDark(6)
    rows = tl_keras.predict_images(workdir / model, [source.encoded_image(index) for index in range(6)], top_k=2)
    assert [row["label"] for row in rows] == ["dark", "bright"] * 3
    assert all(row["score"] > 0.5 and len(row["top_k"]) == 2 for row in rows)
    assert tl_keras.evaluate_model(workdir / model, source)["accuracy"] == 1.0


def test_statistics_count_its_classes_and_no_outputs(trained):
    workdir, _ = trained
    facts = json.loads((workdir / "saved_model" / "1" / "assets.extra" / "tl_keras.json").read_text())
    assert facts["task"] == "one_logit"
    assert len(facts["validation_answers"]) == 2


def test_an_audit_says_that_it_does_not_know_its_answers(trained):
    workdir, _ = trained
    with pytest.raises(tl_keras.TransferError, match=r"output for each class\. Received: 1 output for 2 classes"):
        tl_keras.audit_run(workdir, source=BrightOrDark(60))


def test_its_report_has_no_part_that_is_not_its_own(trained):
    workdir, _ = trained
    page = tl_keras.write_report(workdir, source=BrightOrDark(60)).read_text()
    assert "part right on" in page and "is 1.000." in page
    assert "Worst: the lowest scores" in page
    assert "By class" not in page
    assert "Calibration" not in page


def test_it_is_measured_again_by_the_run_directory_alone(trained):
    workdir, _ = trained
    assert json.loads((workdir / "config.json").read_text())["config"]["task"] == "one_logit"
    config = tl_keras.TransferConfig(task="one_logitt")
    with pytest.raises(tl_keras.TransferError, match=r"task: expected one of auto, single_label, .*one_logit"):
        tl_keras.train_and_evaluate(config, workdir, source=BrightOrDark(60))
