"""The life of a student on every backbone of the table, each in a process of its own: the largest needs 10 GB."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from forked_commands import FORKED

from tl_keras.backbones.specs import backbone_names
from tl_keras.backbones.weights import fingerprint
from tl_keras.builder import build_backbone, build_student, choose_backbone
from tl_keras.config import ModelConfig
from tl_keras.data.inspection import inspect_source
from tl_keras.data.sources import open_source
from tl_keras.data.splits import split_source
from tl_keras.freezing import plan_freezing
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.export import export_run
from tl_keras.serving.model_file import load_model
from tl_keras.serving.package import package_student
from tl_keras.serving.student_statistics import make_predict_fn
from tl_keras.tasks.single_label import SINGLE_LABEL

QUICK = ("AlexNet",)

# Deviation of the logits' difference over images: a hundred times what another crop has to change, and so little that the rounding
# of a random EfficientNet, 1e-4 of it, stays below what an export may differ by.
_SPREAD = 0.05


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in backbone_names()]
)
def test_a_student_lives(name, tmp_path):
    process = FORKED.Process(target=live, args=(name, tmp_path))
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
    answer_images_differently(student)
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


def answer_images_differently(student):
    """Most random networks answer every image alike, and then an export with another crop or BGR would agree with training.

    BatchNorm gets the statistics of some images, and the head the scale of their features.
    """
    random = np.random.default_rng(0)
    shades = random.uniform(0, 255, (16, 1, 1, 3))
    images = (shades + random.uniform(-60, 60, (16, *student.model.input_shape[1:]))).clip(0, 255).astype(np.float32)
    norms = [layer for layer in student.backbone.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    student.backbone.trainable = True
    for layer in norms:
        layer.momentum = 0.0
    student.model(images, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    student.plan.apply(student.backbone)
    logits = student.model.get_layer("logits")
    kernel = random.normal(size=logits.kernel.shape)
    logits.set_weights([kernel, np.zeros(2)])
    difference = np.diff(student.model(images, training=False).numpy())
    scale = _SPREAD / difference.std()
    logits.set_weights([scale * kernel, np.array([scale * difference.mean(), 0])])
    given = [keras.ops.softmax(student.model(seen, training=False)).numpy() for seen in (images, images[..., ::-1])]
    assert np.abs(given[0] - given[1]).max() > 1e-3


def it_saves_loads_and_exports(student, folder):
    """On every kind of image: JPEG, PNG, greyscale, RGBA, odd sizes."""
    for split in ("train", "val"):
        for name in ("a", "b"):
            (folder / "photos" / split / name).mkdir(parents=True)
    random = np.random.default_rng(0)
    for i, (channels, encode) in enumerate(
        ((3, tf.io.encode_jpeg), (1, tf.io.encode_jpeg), (4, tf.io.encode_png), (1, tf.io.encode_png))
    ):
        pixels = random.integers(0, 256, (91 + 40 * i, 133, channels), dtype=np.uint8)
        for split in ("train", "val"):
            file = folder / "photos" / split / "ab"[i % 2] / f"{split}{i}.{encode.__name__[-4:].replace('_', '')}"
            tf.io.write_file(str(file), encode(pixels if split == "val" else pixels[::-1]))
    source = open_source(str(folder / "photos"))
    inspection = inspect_source(source)
    splits = split_source(source, inspection, validation_fraction=0.5, test_fraction=0, seed=0)
    run = RunDirectory(folder / "run")
    run.begin(config={}, data_hash=inspection.data_hash, splits=splits.to_json(source), labels=source.class_names)
    package_student(
        student, run, source, splits, predict=make_predict_fn(student, source, global_batch_size=2), task=SINGLE_LABEL
    )
    (export,) = export_run(run, ("saved_model",))
    assert export["images_compared"] == 4
    assert fingerprint(load_model(run.model).model) == fingerprint(student.model)
