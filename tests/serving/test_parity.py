"""Tests of tl_keras.serving.parity: what of an export passes for agreement, and what does not."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from tl_keras.errors import ExportError, WorkdirError
from tl_keras.serving import parity
from tl_keras.serving.formats import FORMATS
from tl_keras.serving.model_file import load_model
from tl_keras.serving.parity import ExportedAnswers, compare
from tl_keras.tasks.single_label import SINGLE_LABEL

FLOAT32 = FORMATS["saved_model"].tolerance
# What a wrong preprocessing does to pixels, float32 (n, height, width, 3), 0 to 255.
MISTAKES = {
    "half a grey level": lambda pixels: pixels + 0.5,
    "one pixel to the right": lambda pixels: np.roll(pixels, 1, axis=2),
    "another interpolation": lambda pixels: tf.image.resize(
        tf.image.resize(pixels, (24, 24)), pixels.shape[1:3], method="nearest"
    ),
    "blue for red": lambda pixels: pixels[..., ::-1],
}


def exported(logits, temperature):
    return ExportedAnswers(logits, softmax(logits / temperature, axis=-1).astype(np.float32))


@pytest.fixture(scope="module")
def student(run, source):
    """A function from pixels to logits, and the pixels, in colour, of 24 images."""
    trained = load_model(run.model)
    images = source.images(np.arange(24)).map(lambda element: element["image"])
    pixels = np.stack([trained.preprocess.evaluation_transform(image) for image in images])
    return trained.model.predict_on_batch, pixels * np.float32([1.0, 0.8, 0.6])


@pytest.mark.parametrize("mistake", MISTAKES)
def test_another_preprocessing_is_refused_where_every_probability_is_saturated(student, mistake):
    answer, pixels = student
    right, wrong = answer(pixels), answer(MISTAKES[mistake](pixels))
    sure = np.sort(right, axis=-1)[:, -1] - np.sort(right, axis=-1)[:, -2]
    temperature = float(sure.min()) / 100  # every image: all but one class below e**-100
    assert np.abs(softmax(right / temperature, axis=-1).max(axis=-1) - 1).max() < 1e-7
    with pytest.raises(ExportError, match="of the largest"):
        compare(exported(wrong, temperature), right, temperature=temperature, tolerance=FLOAT32, task=SINGLE_LABEL)


def test_rounding_passes_near_a_tie_of_a_confident_model(student):
    logits = np.float32([[50.0, 50.0 - 1e-4, -20.0], [60.0, -10.0, 3.0]])
    rounded = logits * np.float32(1 + 5.7e-6)
    rounded[0, 1] = logits[0, 1] * np.float32(1 - 5.7e-6)
    row = compare(exported(rounded, 0.2), logits, temperature=0.2, tolerance=FLOAT32, task=SINGLE_LABEL)
    assert row["largest_difference"] > 1e-5  # of a probability: the old gate refused it
    assert row["largest_logit_difference"] < 1e-5
    assert row["top_1_agreement"] == 1.0


def test_probabilities_that_are_not_those_of_the_logits_are_refused(student):
    logits = np.float32([[1.0, 2.0, 3.0]])
    with pytest.raises(ExportError, match="probabilities of the exported logits"):
        compare(exported(logits, 1.5), logits, temperature=1.0, tolerance=FLOAT32, task=SINGLE_LABEL)


def test_a_temperature_of_eleven_bits_passes_where_weights_have_no_more():
    logits = np.float32([[3.1, 2.9, -4.0]])
    temperature = 0.7303
    rounded = exported(logits, float(np.float16(temperature)))
    assert rounded.probabilities.tolist() != exported(logits, temperature).probabilities.tolist()
    compare(rounded, logits, temperature=temperature, tolerance=0.05, task=SINGLE_LABEL)
    with pytest.raises(ExportError, match="probabilities of the exported logits"):
        compare(rounded, logits, temperature=temperature, tolerance=FLOAT32, task=SINGLE_LABEL)
    with pytest.raises(ExportError, match="probabilities of the exported logits"):
        compare(exported(logits, 0.8), logits, temperature=temperature, tolerance=0.05, task=SINGLE_LABEL)


@pytest.mark.parametrize("tolerance", [FLOAT32, None])
@pytest.mark.parametrize("where", ["logits", "probabilities"])
def test_nan_does_not_pass_for_agreement(where, tolerance):
    logits = np.float32([[1.0, 2.0]])
    answers = {"logits": logits, "probabilities": softmax(logits, axis=-1), where: np.full((1, 2), np.nan)}
    with pytest.raises(ExportError):
        compare(ExportedAnswers(**answers), logits, temperature=1.0, tolerance=tolerance, task=SINGLE_LABEL)


def test_a_runtime_that_does_not_answer_in_time_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "_SECONDS_TO_ANSWER", 0.01)
    with (
        pytest.raises(ExportError, match=r"answers within 0\.01 seconds\. Received: no answer"),
        parity.FreshProcess("saved_model") as process,
    ):
        process.ask(tmp_path, [np.zeros(1, np.uint8)], scratch=tmp_path)


@pytest.mark.parametrize("content", [b"", bytes(range(256)), b"PK\x03\x04 half"])
def test_a_damaged_record_is_one_line_that_names_it(tmp_path, content):
    (tmp_path / "proof.npz").write_bytes(content)
    with pytest.raises(WorkdirError, match=r"proof\.npz") as raised:
        parity.ParityRecord.load(tmp_path / "proof.npz")
    assert "\n" not in str(raised.value)
