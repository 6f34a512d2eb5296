"""The life of a student on every backbone of the table, each in a process of its own: the largest needs 10 GB."""

import multiprocessing

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.backbones.specs import backbone_names
from tl_keras.backbones.weights import fingerprint
from tl_keras.builder import build_backbone, build_student, choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.data.decoding import decode_image
from tl_keras.freezing import plan_freezing
from tl_keras.serving.export import export_saved_model
from tl_keras.serving.model_file import load_model, save_model

QUICK = ("AlexNet",)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in backbone_names()]
)
def test_a_student_lives(name, tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=live, args=(name, tmp_path))
    process.start()
    process.join()
    assert process.exitcode == 0, "the traceback is on stderr"


def live(name, folder):
    """Builds at the default size; at the smallest: trains the head, cuts at every edge, saves, loads and exports."""
    teacher = choose_backbone(ModelConfig(backbone=name, weights="none"))
    assert build_backbone(teacher).output.shape[-1] == teacher.spec.feature_dim

    config = ModelConfig(
        backbone=name,
        weights="none",
        image_size=teacher.spec.min_image_size,
        method="feature_extraction",
        unfreeze="none",
    )
    student = build_student(choose_backbone(config), config, num_classes=2)
    only_the_head_trains(student)
    every_edge_is_a_cut(student)
    it_saves_loads_and_exports(student, folder)


def only_the_head_trains(student):
    student.plan.apply(student.backbone)
    assert [weight.path for weight in student.model.trainable_weights] == ["logits/kernel", "logits/bias"]
    before, head = fingerprint(student.backbone), student.model.get_layer("logits").get_weights()
    student.model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    images = np.random.default_rng(0).uniform(0, 255, (2, *student.model.input_shape[1:]))
    student.model.fit(images, np.array([1, 1]), verbose=0)
    assert fingerprint(student.backbone) == before
    assert not np.array_equal(student.model.get_layer("logits").get_weights()[1], head[1])


def every_edge_is_a_cut(student):
    backbone, blocks = student.backbone, student.teacher.spec.blocks
    for count in range(1, len(blocks) + 1):
        plan = plan_freezing(backbone, blocks, unfreeze=f"blocks:{count}", train_batch_norm=True)
        plan.apply(backbone)
        first = min(plan.trained)
        assert [block.trained_layers == block.layers for block in plan.blocks].count(True) == count
        assert not plan.note
        assert not any(layer.trainable_weights for layer in backbone.layers[:first])
        assert any(layer.trainable_weights for layer in backbone.layers[first:])


def it_saves_loads_and_exports(student, folder):
    save_model(student, folder / "model.keras", class_names=("a", "b"))
    trained = load_model(folder / "model.keras")
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    image_bytes = tf.io.encode_png(pixels).numpy()
    image = trained.preprocess.evaluation_transform(decode_image(tf.constant(image_bytes)))
    logits = student.model.predict(image[None], verbose=0)
    np.testing.assert_array_equal(trained.model.predict(image[None], verbose=0), logits)
    export_saved_model(student, folder / "saved_model", class_names=("a", "b"), images=[image_bytes], logits=logits)
