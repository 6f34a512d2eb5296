"""Tests of tl_keras.lora on the encoder of texts; transformers of KerasHub are in tests/backbones/test_hub.py."""

import keras
import numpy as np
import pytest

from tl_keras.backbones.weights import fingerprint
from tl_keras.builder import Student
from tl_keras.errors import BackboneError
from tl_keras.freezing import plan_freezing
from tl_keras.lora import as_ordinary, enable_lora, initialize_lora, is_lora, merge_lora
from tl_keras.text.encoder import EncoderSpec, build_encoder

SPEC = EncoderSpec(vocabulary=20, width=8, blocks=2, heads=2, inner_width=16, positions=12)
TOKENS = np.random.default_rng(0).integers(1, 20, (3, 6))


@pytest.fixture
def encoder():
    encoder = build_encoder(SPEC)
    encoder.before, encoder.hash_before = np.asarray(encoder(TOKENS)), fingerprint(encoder)
    enable_lora(encoder, rank=2)
    initialize_lora(encoder, seed=1)
    return encoder


def moved(encoder):
    """Moves all matrices, as training does."""
    for number, weight in enumerate(filter(is_lora, encoder.weights)):
        weight.assign(np.random.default_rng(number).normal(0, 0.3, weight.shape))
    return np.asarray(encoder(TOKENS))


def test_at_first_nothing_changes(encoder):
    np.testing.assert_array_equal(encoder(TOKENS), encoder.before)
    assert fingerprint(encoder) == encoder.hash_before
    names = [weight.path for weight in encoder.weights if is_lora(weight)]
    assert len(names) == 2 * 2 * (
        4 + 2
    )  # two matrices, two blocks: query, key, value, output of attention, and two layers


def test_merged_it_gives_the_same_and_its_file_is_ordinary(encoder, tmp_path):
    unmerged = moved(encoder)
    assert np.abs(unmerged - encoder.before).max() > 0.01
    merge_lora(encoder)
    np.testing.assert_allclose(encoder(TOKENS), unmerged, atol=1e-5)
    with as_ordinary(encoder):
        encoder.save(tmp_path / "merged.keras")
    loaded = keras.models.load_model(tmp_path / "merged.keras")
    np.testing.assert_allclose(loaded(TOKENS), unmerged, atol=1e-5)
    assert not any(is_lora(weight) for weight in loaded.weights)
    assert fingerprint(loaded) == fingerprint(encoder)
    assert loaded.count_params() == build_encoder(SPEC).count_params()
    encoder.load_weights(tmp_path / "merged.keras")  # as a finished run is opened again
    np.testing.assert_allclose(encoder(TOKENS), unmerged, atol=1e-5)


@pytest.mark.parametrize(("unfreeze", "blocks"), [("all", 2), ("blocks:1", 1)])
def test_in_the_unfrozen_blocks_the_matrices_alone_train(encoder, unfreeze, blocks):
    plan = plan_freezing(encoder, SPEC.block_specs(), unfreeze=unfreeze, train_batch_norm=False, lora_rank=2)
    plan.apply(encoder)
    trained = encoder.trainable_weights
    assert len(trained) == 12 * blocks
    assert all(is_lora(weight) for weight in trained)
    assert {id(weight) for weight in plan.trained_weights(encoder)} == {id(weight) for weight in trained}
    assert len(plan.frozen_weights(encoder)) == len(encoder.weights) - len(trained)
    first = encoder.layers[plan.first_trained(encoder)].name
    assert first == f"block_{3 - blocks}_attention"  # the embeddings have no matrices, and are computed once
    assert plan.describe().endswith("through LoRA of rank 2")
    plan.frozen().apply(encoder)
    assert not encoder.trainable_weights


def test_a_seed_decides_the_start(encoder):
    drawn = [np.asarray(weight) for weight in encoder.weights if is_lora(weight)]
    moved(encoder)
    initialize_lora(encoder, seed=1)
    again = [np.asarray(weight) for weight in encoder.weights if is_lora(weight)]
    assert all(np.array_equal(one, other) for one, other in zip(drawn, again, strict=True))
    initialize_lora(encoder, seed=2)
    assert not np.array_equal(drawn[0], next(np.asarray(weight) for weight in encoder.weights if is_lora(weight)))


def test_a_student_of_lora_starts_from_a_run_without(encoder):
    plain = build_encoder(SPEC)

    def student(backbone):
        backbone.name = "backbone"
        inputs = keras.Input((None,), dtype="int32")
        head = [keras.layers.Identity(), keras.layers.Dense(2)]
        model = keras.Model(inputs, head[1](head[0](backbone(inputs))))
        return Student(model, backbone, None, None, None)

    ours, earlier = student(encoder), student(plain)
    ours.start_from(earlier.model, class_names=("a", "b"), earlier_names=("a", "b"))
    np.testing.assert_array_equal(ours.model(TOKENS), earlier.model(TOKENS))


def test_convolutions_have_no_dense_layer():
    images = keras.Input((8, 8, 3))
    with pytest.raises(BackboneError, match="lora_rank: expected a transformer"):
        enable_lora(keras.Model(images, keras.layers.Conv2D(4, 3)(images)), rank=2)
