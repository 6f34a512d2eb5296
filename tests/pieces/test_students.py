"""Tests of tl_keras.pieces.students."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tl_keras as tl

IN_TF_DATA = tf.data.Dataset.from_tensors(tf.zeros((4, 8, 8, 3), tf.uint8))


@pytest.fixture(scope="module")
def student(small_teacher):
    return tl.build(str(small_teacher), classes=2, unfreeze="blocks:1")


def step(model, images=None):
    """Trains a model for one step on noise."""
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    shape = (4, *model.input_shape[1:])
    model.fit(np.random.default_rng(0).uniform(0, 255, shape).astype("float32"), np.array([0, 1, 0, 1]), verbose=0)


def test_a_student_is_frozen_when_it_is_built(student):
    plan = tl.freeze(student, "blocks:1")  # the same again
    trained = sum(int(np.prod(weight.shape)) for weight in student.trainable_weights)
    assert trained == 9 * 8 * 16 + 16 + 16 * 2 + 2  # the last convolution, the head; no BatchNorm
    with plan.prove() as proof:
        step(student)
    assert proof == {"frozen_unchanged": len(plan.frozen_weights), "trained_moved": 4}


def nested(base):
    return keras.Sequential([base, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])


def flat(base):
    return keras.Model(base.input, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(base.output)))


@pytest.mark.parametrize("model_of", [nested, flat])
def test_any_model_is_frozen_with_its_batch_norm_safe(model_of, small_teacher):
    model = model_of(keras.models.load_model(small_teacher))
    plan = tl.freeze(model, "blocks:1")
    with plan.prove() as proof:
        step(model)
    assert proof["trained_moved"] == len(plan.trained_weights) >= 2
    assert "frozen" in plan.table()


def test_a_loop_that_breaks_the_plan_is_caught(student):
    plan = tl.freeze(student, "none")
    for layer in plan.backbone.layers:  # as a later line of a program may do
        layer.trainable = True
    with pytest.raises(tl.TransferError, match=r"bit-identical within prove\(\)\. Received: .* changed"), plan.prove():
        step(student)


def test_images_are_made_ready_from_a_split_and_from_a_dataset(student, photos):
    folder = photos("blue", "red")
    data = tl.load_data(folder)
    batches = tl.preprocess(student, data, "train", batch_size=8, epochs=2, augmentation="light")
    assert len(list(batches)) == 2 * -(-len(data.splits.train) // 8)
    plain = keras.utils.image_dataset_from_directory(folder, image_size=(30, 30), shuffle=False, verbose=False)
    images, labels = next(iter(tl.preprocess(student, plain)))
    assert images.shape[1:] == student.input_shape[1:]
    assert set(labels.numpy()) == {0, 1}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model, data: tl.preprocess(model, data, "trian"), r"split: expected one that has images \(train, "),
        (lambda model, data: tl.preprocess(model, [1, 2]), "dataset: expected images of tl_keras.load_data"),
        (lambda model, data: tl.preprocess(model.get_layer("backbone"), data), "expected a model of tl_keras.build"),
        (lambda model, data: tl.preprocess(model, IN_TF_DATA, "train"), "for a split, augmentation or epochs"),
        (
            lambda model, data: tl.preprocess(model, IN_TF_DATA, augmentation="light"),
            "for a split, augmentation or epochs",
        ),
        (lambda model, data: tl.preprocess(model, data, "train", batch_size=0), "batch_size: expected 1 or more"),
        (lambda model, data: tl.preprocess(model, data, "train", epochs=0), "epochs: expected 1 or more"),
        (lambda model, data: tl.build("MobileNetV2", 0), "classes: expected 1 or more"),
        (lambda model, data: tl.freeze(model, "blocks:99"), r"unfreeze: expected blocks:N with N from 1 to"),
        (lambda model, data: tl.build("MobileNetV9", 2), "Did you mean MobileNetV"),
        (lambda model, data: tl.build("MobileNetV2", 2, droput=0.1), "Did you mean dropout"),
    ],
)
def test_what_is_wrong_is_one_line(call, message, student, photos):
    with pytest.raises(tl.TransferError, match=message):
        call(student, tl.load_data(photos("blue", "red", each=4)))
