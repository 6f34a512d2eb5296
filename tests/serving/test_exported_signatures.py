"""Tests of tl_keras.serving.exported_signatures: an export of another format answers as the SavedModel beside it."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.errors import BackboneError
from tl_keras.serving.exported_signatures import NETWORKS
from tl_keras.serving.served_model import SIGNATURES, ServedModel

pytest.importorskip("openvino", reason="pip install 'tl_keras[openvino]'")
pytest.importorskip("ai_edge_litert", reason="pip install 'tl_keras[litert]'")


@pytest.mark.long
@pytest.mark.parametrize("runtime", NETWORKS)
def test_it_answers_as_the_saved_model(exported, runtime):
    images = [(exported / "images" / f"{number}.png").read_bytes() for number in range(4)]
    version = exported / "saved_model" / "1"
    served, other = ServedModel(version, name="it"), ServedModel(version, name="it", runtime=runtime)
    for signature in SIGNATURES:
        for one, two in zip(served.ask(signature, images), other.ask(signature, images), strict=True):
            assert one.keys() == two.keys()
            for name, value in one.items():
                texts = isinstance(np.array(value).flat[0], str)
                same = np.testing.assert_array_equal if texts else np.testing.assert_allclose
                same(value, two[name], **({} if texts else {"rtol": 1e-3, "atol": 1e-4}))


def test_without_the_export_or_of_other_weights_it_is_one_line(exported, run, tmp_path):
    with pytest.raises(BackboneError, match=r"Received: none\. Run: python -m tl_keras\.export"):
        ServedModel(run.path / "saved_model" / "1", name="it", runtime="openvino")
    exported = shutil.copytree(exported, tmp_path / "run")
    facts = exported / "openvino" / "1" / "tl_keras.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "weights_sha256": "other"}))
    with pytest.raises(BackboneError, match="of other weights"):
        ServedModel(exported / "saved_model" / "1", name="it", runtime="openvino")


@pytest.mark.parametrize(("runtime", "file"), [("openvino", "model.bin"), ("litert", "model.tflite")])
def test_a_damaged_export_is_one_line(exported, tmp_path, runtime, file):
    exported = shutil.copytree(exported, tmp_path / "run")
    content = (exported / runtime / "1" / file).read_bytes()
    (exported / runtime / "1" / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(BackboneError, match=r"Received: .* \(.+\)\. Run: python -m tl_keras\.export") as raised:
        ServedModel(exported / "saved_model" / "1", name="it", runtime=runtime)
    assert "\n" not in str(raised.value)


def test_an_export_that_averages_over_other_views_does_not_answer_for_the_saved_model(exported, tmp_path):
    exported = shutil.copytree(exported, tmp_path / "run")
    facts = exported / "openvino" / "1" / "tl_keras.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "test_time_augmentation": "mirror"}))
    with pytest.raises(BackboneError, match="whose test_time_augmentation is mirror; that of the SavedModel is none"):
        ServedModel(exported / "saved_model" / "1", name="it", runtime="openvino")


@pytest.mark.parametrize("runtime", NETWORKS)
def test_batches_of_many_sizes_are_not_traced_each(exported, runtime, caplog):
    images = [(exported / "images" / f"{number}.png").read_bytes() for number in range(9)]
    model = ServedModel(exported / "saved_model" / "1", name="it", runtime=runtime)
    tf.get_logger().addHandler(caplog.handler)  # TensorFlow's logger passes nothing on
    try:
        for size in range(1, 10):
            model.ask("serving_default", images[:size])
    finally:
        tf.get_logger().removeHandler(caplog.handler)
    assert "retracing" not in caplog.text
