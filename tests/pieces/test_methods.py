"""Tests of tl_keras.pieces.methods: one run with everything of one's own."""

import json

import keras
import pytest
import tensorflow as tf

import tl_keras as tl


def brighter(image, seed):
    return tf.clip_by_value(image + tf.random.stateless_uniform((), seed, -30.0, 30.0), 0.0, 255.0)


def darker(image, seed):
    return image * 0.5


class Seen(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(
            (epoch, type(self.model.optimizer).__name__, round(float(self.model.optimizer.learning_rate), 6))
        )


OF_OWN = {
    "unfreeze": "blocks:1",
    "epochs": 1,
    "head_epochs": 2,
    "batch_size": 8,
    "head": [keras.layers.Dense(6, activation="relu"), keras.layers.LayerNormalization()],
}


@pytest.fixture(scope="module")
def made(photos, small_teacher, tmp_path_factory):
    """The run, its callback and its keywords."""
    seen = Seen()
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([10_000], [0.5, 0.05])
    chosen = {**OF_OWN, "backbone": str(small_teacher), "optimizer": keras.optimizers.SGD(schedule, momentum=0.9)}
    data, workdir = tl.load_data(photos("blue", "red")), tmp_path_factory.mktemp("own") / "run"
    run = tl.fine_tune(data, workdir, augmentation=brighter, callbacks=[seen], **chosen)
    return run, seen, data, chosen


@pytest.mark.long
def test_a_callback_sees_every_epoch_and_the_optimizer_at_the_rate_of_its_phase(made):
    _, seen, _, _ = made
    assert seen.epochs == [(0, "SGD", 0.5), (1, "SGD", 0.5), (2, "SGD", 0.015)]


def test_the_head_is_the_programs_and_stands_in_the_model(made):
    run, *_ = made
    names = [layer.name for layer in run.model.layers]
    assert names[names.index("backbone") + 1 :] == ["features", "head_1", "head_2", "logits"]


def test_the_record_says_what_it_cannot_make_again_and_has_the_rest(made):
    run, *_ = made
    config = json.loads((run.workdir / "config.json").read_text())
    assert config["own_parts"]["callbacks"] == [f"{__name__}.Seen"]
    assert config["own_parts"]["augmentation"]["name"] == f"{__name__}.brighter"
    assert run.result.own_parts == config["own_parts"]
    assert json.loads(config["config"]["training"]["optimizer"])["class_name"] == "SGD"
    assert [each["class_name"] for each in json.loads(config["config"]["model"]["head_layers"])] == [
        "Dense",
        "LayerNormalization",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"augmentation": darker}, r"the run began with, .*brighter\. Received: .*darker"),
        ({"augmentation": "light"}, "another config .data.augmentation: own there, light now"),
        ({"epoch": 2}, r"fine_tune: expected an option .* Received: epoch\. Did you mean epochs"),
        ({"columns": "label=x"}, r"Received: columns"),
        ({"learning_rate": 0.3}, "learning_rate: expected no options of AdamW beside an optimizer"),
        ({"optimizer": "sdg"}, "optimizer: expected an optimizer of Keras, or its name. Received: 'sdg'"),
        ({"augmentation": lambda image: image}, "augmentation: expected a function of an image and a seed"),
        ({"callbacks": ["early"]}, "callbacks: expected objects of keras.callbacks.Callback. Received: str"),
        ({"head": [keras.layers.Lambda(lambda x: x)]}, "head_layers: expected layers of Keras itself"),
        ({"head": [keras.layers.Reshape((2, 2, 4))]}, "head_layers: expected layers from .batch, features."),
        ({"unfreeze": "block:2"}, r"unfreeze: expected .*Did you mean blocks"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_does_not_fit_is_one_line_and_changes_nothing(made, changes, message, tmp_path):
    run, seen, data, chosen = made
    begun = ("augmentation" in changes) and changes["augmentation"] in (darker, "light")
    with pytest.raises(tl.TransferError, match=message) as raised:
        tl.fine_tune(
            data,
            run.workdir if begun else tmp_path / "run",
            **{**chosen, "augmentation": brighter, "callbacks": [seen], **changes},
        )
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_the_same_call_finds_the_run_finished(made):
    run, seen, data, chosen = made
    again = tl.fine_tune(data, run.workdir, augmentation=brighter, callbacks=[seen], **chosen)
    assert again.result.hashes == run.result.hashes
    assert len(seen.epochs) == 3
