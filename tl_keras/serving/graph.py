"""Builds the student as a graph of TensorFlow operations only, from which every export format is made."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from tl_keras.distribution.frozen_graph import folded
from tl_keras.serving.model_file import TrainedModel


def answering_function(trained: TrainedModel, *, any_length: bool = False) -> tf.types.experimental.PolymorphicFunction:
    """Returns the student with temperature, probabilities and outlier score, with its weights as constants of the graph.

    BatchNorm is folded into the convolutions before it, which takes a third off the processor's time of MobileNetV2.

    The function takes `images`, float32 (n, image_size, image_size, 3), RGB, 0 to 255, or `tokens`, int32 (n, max_tokens). It
    returns a dictionary: `features`, float32 (n, d); `logits`, float32 (n, classes), before the temperature; `outlier`, float32
    (n,), see `OutlierModel.score`; and under `Task.output_name`, as a rule `probabilities`, float32 (n, outputs).

    Args:
      trained: The student.
      any_length: Whether `tokens` may be fewer than `max_tokens`; not every format has that.
    """
    preprocess, statistics = trained.preprocess, trained.statistics
    model = trained.answering()
    shape = preprocess.network_shape if any_length else preprocess.input_shape
    takes = [tf.TensorSpec((None, *shape), preprocess.input_dtype, name=preprocess.input_name)]

    @tf.function(input_signature=takes, autograph=False)
    def answer_from_variables(images: tf.Tensor) -> tuple[tf.Tensor, ...]:
        features, logits = model(images, training=False)
        features = tf.cast(features, tf.float32)  # bfloat16 under mixed precision
        probabilities = trained.task.probabilities(logits / statistics.temperature)
        return features, logits, statistics.outliers.score(features), probabilities

    frozen = folded(convert_variables_to_constants_v2(answer_from_variables.get_concrete_function()), takes)

    @tf.function(input_signature=takes, autograph=False)
    def answer(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(("features", "logits", "outlier", trained.task.output_name), frozen(images), strict=True))

    return answer


def signatures(trained: TrainedModel) -> dict[str, tf.types.experimental.ConcreteFunction]:
    """Returns the signatures of the SavedModel; docs/serving.md lists their inputs and outputs.

    All of them call one function that holds the weights, so that these are stored once.
    """
    answer, preprocess = answering_function(trained, any_length=True), trained.preprocess
    prepare, sent = preprocess.in_graph(), tf.TensorSpec((None,), tf.string, name=preprocess.served_name)

    def answers(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(prepare(images))

    def labelled(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return named(answers(images))

    def named(answered: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        outputs = trained.task.answers(answered[trained.task.output_name], trained.class_names)
        return {**outputs, "outlier": answered["outlier"]}

    def image_of(example: tf.Tensor) -> tf.Tensor:
        return tf.io.parse_single_example(example, {"image": tf.io.FixedLenFeature((), tf.string)})["image"]

    def of_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return labelled(tf.map_fn(image_of, examples, fn_output_signature=tf.string))

    def features_of(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"features": answers(images)["features"]}

    def predict_logits(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": answers(images)["logits"]}

    def of_tokens(tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        return named(answer(tokens))

    found = {
        "serving_default": _signature(labelled, sent),
        "features": _signature(features_of, sent),
        "logits": _signature(predict_logits, sent),
    }
    if not preprocess.image_size:
        return found | {"tokens": _signature(of_tokens, answer.input_signature[0])}
    return found | {
        "images": _signature(labelled, tf.TensorSpec((None, None, None, 3), tf.uint8, name="images")),
        "tf_example": _signature(of_examples, tf.TensorSpec((None,), tf.string, name="examples")),
    }


def _signature(
    function: Callable[[tf.Tensor], dict[str, tf.Tensor]], takes: tf.TensorSpec
) -> tf.types.experimental.ConcreteFunction:
    return tf.function(function, input_signature=[takes], autograph=False).get_concrete_function()
