"""What goes wrong silently in Keras, tried on a backbone of each kind, trained for real for a step or two."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.builder import build_backbone, build_student, choose_backbone, plan_student
from tl_keras.config import ModelConfig, TrainingConfig
from tl_keras.distribution.distributor import open_distributor
from tl_keras.distribution.hardware import resolve_hardware
from tl_keras.tasks.loss_recipe import LossRecipe
from tl_keras.tasks.single_label import SINGLE_LABEL
from tl_keras.training.freeze_check import FreezeCheck
from tl_keras.training.model_cache import ModelCache

# With BatchNorm; nested, with LayerNorm; and two whose layers are called otherwise in a second build.
KINDS = [
    "MobileNetV2",
    "ConvNeXtTiny",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("InceptionV3", "NASNetMobile")),
]


@pytest.fixture(scope="module", params=KINDS)
def trained(request):
    """A student after a step of each phase, and what was proven of the phases."""
    name = request.param
    size = max(32, choose_backbone(ModelConfig(backbone=name, weights="none")).spec.min_image_size)
    config = ModelConfig(backbone=name, weights="none", image_size=size, method="fine_tune", unfreeze="blocks:1")
    keras.utils.set_random_seed(0)
    models, proofs = ModelCache(), []
    student = models.student(choose_backbone(config), config, num_classes=2, seed=0)
    images = np.random.default_rng(0).uniform(0, 255, (4, size, size, 3)).astype("float32")
    for plan in (student.plan.frozen(), student.plan):
        split = models.split(student, plan)
        trainer = models.trainer(
            student,
            plan,
            TrainingConfig(),
            on_features=True,
            loss=LossRecipe(),
            task=SINGLE_LABEL,
            distributor=open_distributor(resolve_hardware("cpu")),
        )
        trainer.optimizer.begin(learning_rate=1e-3, steps=10, warmup_fraction=0)
        features = split.frozen(images, training=False)
        inputs = tuple(features) if isinstance(features, list) else features
        # Three of one class: untrained features are so small that with two of each the bias has no gradient at all.
        batches = tf.data.Dataset.from_tensors((inputs, tf.one_hot([0, 1, 1, 1], 2)))
        trainer.fit(
            batches, epochs=2, verbose=0, shuffle=False, callbacks=[FreezeCheck("", student, plan, proofs=proofs)]
        )
    return student, proofs


@pytest.mark.slow
def test_each_phase_has_an_optimizer_of_its_own_and_moves_what_it_should(trained):
    student, proofs = trained
    planned = len(student.plan.trained_weights(student.backbone))
    assert [proof["trained_moved"] for proof in proofs] == [2, 2 + planned]
    assert planned > 0  # a frozen parent would have hidden its unfrozen children


def test_everything_else_stays_bit_identical(trained):
    student, proofs = trained
    weights = len(student.backbone.weights)
    assert proofs[0]["frozen_unchanged"] == weights
    assert proofs[1]["frozen_unchanged"] == weights - len(student.plan.trained_weights(student.backbone))


def test_batch_norm_keeps_its_statistics_while_the_layers_around_it_train(trained):
    student, _ = trained
    layers = student.backbone._flatten_layers(include_self=False)  # the nested ones too
    statistics = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert bool(statistics) == (student.teacher.spec.name != "ConvNeXtTiny")  # which has LayerNorm
    for layer in statistics:
        np.testing.assert_array_equal(layer.moving_mean, 0)
        np.testing.assert_array_equal(layer.moving_variance, 1)


def test_layer_norm_trains_with_the_layers_around_it():
    config = ModelConfig(
        backbone="ConvNeXtTiny", weights="none", image_size=32, method="fine_tune", unfreeze="blocks:1"
    )
    student = build_student(choose_backbone(config), config, num_classes=2)
    names = [weight.path for weight in student.plan.trained_weights(student.backbone)]
    assert any("layernorm" in name and "gamma" in name for name in names)


def test_a_second_build_is_cut_at_the_same_place(trained):
    student, _ = trained
    config = ModelConfig(weights="none", unfreeze="blocks:1")
    assert plan_student(student.teacher, build_backbone(student.teacher), config) == student.plan
