"""Tests of tl_keras.backbones.hub and hub_layers, with presets made here: KerasHub's own are on a server."""

import keras
import numpy as np
import pytest

import tl_keras
from tl_keras.backbones import hub
from tl_keras.backbones.blocks import blocks_of
from tl_keras.backbones.hub import write_teacher_from_hub
from tl_keras.backbones.hub_sizes import at_image_size
from tl_keras.backbones.teacher_files import load_teacher, read_teacher_file
from tl_keras.builder import build_student, choose_backbone
from tl_keras.errors import BackboneError, DependencyError
from tl_keras.lora import as_ordinary, enable_lora, is_lora, merge_lora
from tl_keras.reporting.attention_heat import attention_heat
from tl_keras.reporting.run_report import write_report


@pytest.fixture
def preset(tmp_path):
    """A small ResNet, as KerasHub writes it to a directory; the backbone, its converter, and the directory."""
    keras_hub = pytest.importorskip("keras_hub", reason="pip install keras-hub")
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )
    scale, offset = [1 / 58.4, 1 / 57.1, 1 / 57.4], [-2.1, -2.0, -1.8]
    converter = keras_hub.layers.ResNetImageConverter(image_size=(64, 64), scale=scale, offset=offset)
    backbone.save_to_preset(tmp_path / "preset")
    converter.save_to_preset(tmp_path / "preset")
    return backbone, converter, tmp_path / "preset"


def test_the_teacher_gives_what_the_preset_gives(preset, tmp_path):
    backbone, converter, folder = preset
    write_teacher_from_hub(str(folder), tmp_path / "teacher.keras")
    teacher = read_teacher_file(str(tmp_path / "teacher.keras"))
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    ours = load_teacher(teacher)(teacher.preprocess.evaluation_transform(image)[None])
    theirs = backbone(converter(image[None].astype("float32")))
    np.testing.assert_allclose(ours, theirs, atol=1e-3 * np.abs(theirs).max())
    assert len(keras.models.load_model(tmp_path / "teacher.keras").layers) > 10


def test_what_is_no_preset_is_one_line(preset, tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(BackboneError, match="expected a preset") as raised:
        write_teacher_from_hub(str(tmp_path / "nothing"), tmp_path / "teacher.keras")
    assert "\n" not in str(raised.value)


def test_without_keras_hub_the_line_to_run_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(hub.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match="pip install keras-hub"):
        write_teacher_from_hub("resnet_50_imagenet", tmp_path / "teacher.keras")


SMALL = {"num_layers": 3, "hidden_dim": 16, "num_heads": 2}
PATCHES_OF_8 = {"patch_size": 8, "image_shape": (32, 32, 3)}


def a_transformer(name, models):
    """A tiny transformer of KerasHub with random weights, and the class of its preprocessing."""
    if name == "SigLIP":
        tower = models.SigLIPVisionEncoder(**SMALL, **PATCHES_OF_8, intermediate_dim=32)
        texts = models.SigLIPTextEncoder(
            vocabulary_size=16, embedding_dim=16, intermediate_dim=16, max_sequence_length=8, **SMALL
        )
        return models.SigLIPBackbone(tower, texts)
    if name == "ViT":
        return models.ViTBackbone(**SMALL, **PATCHES_OF_8, mlp_dim=32)
    register = {"num_register_tokens": 2} if name.startswith("DINO") else {}
    return getattr(models, f"{name}Backbone")(**SMALL, **PATCHES_OF_8, **register, intermediate_dim=32)


@pytest.fixture(scope="module")
def transformer(tmp_path_factory):
    """A function that returns a transformer by its name, and the file that was written of it."""
    keras_hub = pytest.importorskip("keras_hub", reason="pip install keras-hub")
    made = {}

    def make(name, tokens="auto"):
        if (name, tokens) not in made:
            backbone, folder = a_transformer(name, keras_hub.models), tmp_path_factory.mktemp(name)
            converter = getattr(keras_hub.layers, f"{name}ImageConverter")
            backbone.save_to_preset(folder)
            converter(image_size=(32, 32), scale=1 / 127.5, offset=-1.0).save_to_preset(folder)
            write_teacher_from_hub(str(folder), folder / "teacher.keras", tokens=tokens)
            made[name, tokens] = backbone, folder / "teacher.keras"
        return made[name, tokens]

    return make


@pytest.mark.long
@pytest.mark.parametrize(("name", "blocks"), [("ViT", 4), ("DeiT", 4), ("DINOV2", 4), ("DINOV3", 1), ("SigLIP", 5)])
def test_a_transformer_gives_what_the_preset_gives_and_its_blocks_are_cut_points(transformer, name, blocks):
    backbone, file = transformer(name)
    teacher = load_teacher(read_teacher_file(str(file)))
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    tower = getattr(backbone, "vision_encoder", backbone)
    theirs = np.asarray(
        tower({tower.inputs[0].name: pixels / 127.5 - 1} if isinstance(tower.input, dict) else pixels / 127.5 - 1)
    )
    theirs = theirs[:, None] if theirs.ndim == 2 else theirs[:, :1]
    np.testing.assert_allclose(teacher(pixels), theirs, atol=1e-4)
    assert len(blocks_of(teacher)) == blocks
    for block in blocks_of(teacher):  # the shape that is told is the one that comes, by which a cut there goes
        made = keras.tree.flatten(teacher.get_layer(block.anchor).output)[0]
        assert keras.Model(teacher.input, made)(pixels).shape[1:] == made.shape[1:]


@pytest.mark.parametrize(
    ("tokens", "width", "expected"),
    [
        ("class", 16, lambda out: out[:, 0]),
        ("mean", 16, lambda out: out[:, 3:].mean(axis=1)),
        ("both", 32, lambda out: np.concatenate([out[:, 0], out[:, 3:].mean(axis=1)], axis=1)),
    ],
)
def test_the_head_sees_the_chosen_tokens(transformer, tokens, width, expected):
    backbone, file = transformer("DINOV2", tokens)
    teacher = load_teacher(read_teacher_file(str(file)))
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    pooled = np.asarray(teacher(pixels)).mean(axis=1)
    assert pooled.shape == (2, width)
    np.testing.assert_allclose(pooled, expected(np.asarray(backbone({"images": pixels / 127.5 - 1}))), atol=1e-4)


def test_without_a_class_token_it_cannot_be_chosen(tmp_path):
    keras_hub = pytest.importorskip("keras_hub", reason="pip install keras-hub")
    keras_hub.models.ViTBackbone(**SMALL, **PATCHES_OF_8, mlp_dim=32, use_class_token=False).save_to_preset(tmp_path)
    keras_hub.layers.ViTImageConverter(image_size=(32, 32)).save_to_preset(tmp_path)
    with pytest.raises(BackboneError, match=r"expected --tokens=mean for .* Received: class"):
        write_teacher_from_hub(str(tmp_path), tmp_path / "teacher.keras", tokens="class")


def test_at_another_size_dinov2_gives_what_kerashub_gives(tmp_path):
    models = pytest.importorskip("keras_hub", reason="pip install keras-hub").models
    tower = a_transformer("DINOV2", models)
    theirs = models.DINOV2Backbone.from_config(tower.get_config() | {"image_shape": (48, 48, 3)})
    tower.save_weights(tmp_path / "dinov2.weights.h5")
    theirs.load_weights(tmp_path / "dinov2.weights.h5")
    pixels = {"images": np.random.default_rng(0).normal(size=(2, 48, 48, 3)).astype(np.float32)}
    np.testing.assert_allclose(at_image_size(tower, 48)(pixels), theirs(pixels), atol=1e-5)


@pytest.mark.parametrize(("name", "before"), [("ViT", 1), ("SigLIP", 0)])
def test_at_another_size_a_slope_of_the_embeddings_stays_one(name, before):
    models = pytest.importorskip("keras_hub", reason="pip install keras-hub").models
    tower = a_transformer(name, models)
    tower = getattr(tower, "vision_encoder", tower)

    def positions(network):
        (table,) = (weight for weight in network.weights if "position_embedding/" in weight.path)
        return table

    def slope(grid):
        return np.repeat((np.arange(grid) + 0.5) / grid, grid)

    table = np.array(positions(tower))
    table[before:] = slope(4)[:, None]
    positions(tower).assign(table)
    larger = np.asarray(positions(at_image_size(tower, 64)))
    np.testing.assert_array_equal(larger[:before], table[:before])
    np.testing.assert_allclose(larger[before + 16 : -16], slope(8)[16:-16, None].repeat(16, 1), atol=0.02)
    assert at_image_size(tower, 32) is tower
    with pytest.raises(BackboneError, match=r"expected a multiple of 8.* Received: 50\. Use --hub_image_size=48"):
        at_image_size(tower, 50)


def test_embeddings_of_positions_that_were_trained_are_in_the_file(transformer, tmp_path):
    teacher = load_teacher(read_teacher_file(str(transformer("DINOV2")[1])))
    (table,) = (weight for weight in teacher.weights if weight.name == "interpolated_position_embeddings")
    table.assign(np.random.default_rng(0).normal(size=table.shape))
    teacher.save(tmp_path / "trained.keras")
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    loaded = keras.models.load_model(tmp_path / "trained.keras", compile=False)
    np.testing.assert_allclose(loaded(pixels), teacher(pixels), atol=1e-5)


@pytest.mark.parametrize("name", ["ViT", "DINOV2", "SigLIP"])
def test_with_lora_merged_a_transformer_gives_the_same_and_is_an_ordinary_file(transformer, name, tmp_path):
    teacher = load_teacher(read_teacher_file(str(transformer(name)[1])))
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    before, parameters = np.asarray(teacher(pixels)), teacher.count_params()
    enable_lora(teacher, rank=2)
    np.testing.assert_array_equal(teacher(pixels), before)
    for number, weight in enumerate(filter(is_lora, teacher.weights)):
        weight.assign(np.random.default_rng(number).normal(0, 0.1, weight.shape))
    unmerged = np.asarray(teacher(pixels))
    assert np.abs(unmerged - before).max() > 1e-3
    merge_lora(teacher)
    with as_ordinary(teacher):
        teacher.save(tmp_path / "merged.keras")
    loaded = keras.models.load_model(tmp_path / "merged.keras", compile=False)
    for merged in (teacher, loaded):
        np.testing.assert_allclose(merged(pixels), unmerged, atol=1e-5)
    assert loaded.count_params() == parameters


@pytest.mark.parametrize(
    ("name", "side"),
    [
        *(pytest.param(name, 4, marks=pytest.mark.slow) for name in ("ViT", "DeiT")),
        *(("DINOV2", 4), ("DINOV3", 1), ("SigLIP", 4)),
    ],
)
def test_where_a_transformer_looks_is_seen_by_its_attention(transformer, name, side):
    config = tl_keras.ModelConfig(backbone=str(transformer(name)[1]), method="feature_extraction", unfreeze="none")
    model = build_student(choose_backbone(config), config, num_classes=2).model
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    heat = attention_heat(model, pixels, lambda logits: logits[:, 0])
    assert heat.shape == (2, side, side)
    assert (heat.max() == 1) == (side > 1)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        pytest.param("DINOV2", "replicate", marks=pytest.mark.slow),
        pytest.param("SigLIP", "feature_extraction", marks=pytest.mark.slow),
        ("ViT", "fine_tune"),
    ],
)
def test_a_transformer_is_trained_and_its_model_loads_again(transformer, tmp_path, name, method):
    _, file = transformer(name)
    config = tl_keras.TransferConfig(export="none")
    source = tl_keras.ArraySource(
        np.random.default_rng(0).integers(0, 256, (40, 20, 20, 3), np.uint8), np.arange(40) % 2
    )
    config.model.backbone, config.model.method = str(file), method
    config.training.epochs, config.training.head_epochs = 1, 4  # as many as views, which are cached then
    config.cache.folder = str(tmp_path / "cache")
    if method == "fine_tune":
        config.model.unfreeze, config.model.lora_rank = "blocks:2", 2
        config.export = "saved_model"
    result = tl_keras.train_and_evaluate(config, tmp_path / "run", source=source)
    model = keras.models.load_model(tmp_path / "run" / "model.keras", compile=False)
    model.save(tmp_path / "again.keras")
    again = keras.models.load_model(tmp_path / "again.keras", compile=False)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(again(pixels), model(pixels))
    assert 0 <= result.test_accuracy <= 1
    assert any((tmp_path / "cache").rglob(32 * "[0-9a-f]")) == (method != "replicate")  # what frozen layers gave
    if method == "fine_tune":
        assert (tmp_path / "run" / "saved_model" / "1").is_dir()  # its logits were proven equal before it came here
        assert (
            result.freeze_proof[-1]["trained_moved"] == 2 * (2 * 6) + 2
        )  # LoRA's matrices in two blocks, and the head
        assert model.count_params() == result.parameters_frozen + 2 * 16 + 2
        page = write_report(tmp_path / "run", source=source).read_text()
        assert "the attention of all blocks, weighted with gradients" in page
        assert "The same, bright where it speaks for" in page
