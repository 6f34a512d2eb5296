"""Builds the head: from the backbone's feature map, or its tokens, to one logit per class."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence

import keras
import numpy as np

from tl_keras.backbones.keras_file import require_network_alone
from tl_keras.config import parse_layers
from tl_keras.console import first_line
from tl_keras.errors import ConfigError

# By the rank of what the backbone makes; if it pools by itself, nothing is left to do.
_POOLINGS: dict[str, dict[int, type[keras.layers.Layer]]] = {
    "average": {4: keras.layers.GlobalAveragePooling2D, 3: keras.layers.GlobalAveragePooling1D},
    "max": {4: keras.layers.GlobalMaxPooling2D, 3: keras.layers.GlobalMaxPooling1D},
}

_SCALE = "scale"
_EPSILON = 1e-6

# Root mean square of the deviations of MobileNetV2's last features, averaged, on 364 micrographs: 0.41. The rates of heads were
# chosen on such features. Those of its finer maps deviate by 0.06 to 0.08: a head of the same rates learns hardly anything of them.
_DEVIATION = 0.4


def apply_head(
    features: keras.KerasTensor,
    *,
    pooling: str = "average",
    scaled: bool = False,
    head: str,
    num_classes: int,
    head_units: int,
    dropout: float,
    layers: Sequence[keras.layers.Layer] = (),
) -> keras.KerasTensor:
    """Applies a new head to a feature map or to tokens; see `initialize_head` for its weights.

    Args:
      features: Symbolic tensor, the output of the backbone: (batch, height, width, channels); of a transformer of images (batch,
        tokens, channels); (batch, channels) if the backbone pools it itself.
      pooling: `average` or `max`: how the positions of a map, or the tokens, become one row of features.
      scaled: Whether the features are centred and scaled; see `scale_features`.
      head: `linear` (pooling and one dense layer) or `mlp` (a hidden layer of `head_units` between).
      num_classes: Number of logits.
      head_units: Width of the hidden layer of `mlp`.
      dropout: Rate before the last layer, 0 to below 1.
      layers: Layers between the pooled features and the logits that stand in place of `head` and `dropout`.

    Returns:
      Symbolic tensor, float32 (batch, num_classes): logits, in float32 under every precision policy.

    Raises:
      ConfigError: The layers do not end in one row of numbers per image.
    """
    x = _POOLINGS[pooling].get(len(features.shape), keras.layers.Identity)(name="features")(features)
    if scaled:
        scale = keras.layers.BatchNormalization(
            center=False, scale=False, epsilon=_EPSILON, dtype="float32", name=_SCALE
        )
        scale.trainable = False
        x = scale(x)
    for layer in layers:
        x = layer(x)
    if len(x.shape) != 2:
        raise ConfigError(
            f"head_layers: expected layers from (batch, features) to (batch, numbers). Received: an output of shape {x.shape}. "
            "Pool or flatten it."
        )
    if head == "mlp" and not layers:
        x = keras.layers.Dense(head_units, activation="relu", name="hidden")(x)
    if dropout and not layers:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    return keras.layers.Dense(num_classes, dtype="float32", name="logits")(x)


def initialize_head(layers: Iterable[keras.layers.Layer], *, seed: int) -> None:
    """Sets the weights of a head's layers, and the state of its dropout, from a seed.

    Kernels are Glorot uniform (Glorot and Bengio 2010, equation 16), the same on TensorFlow and JAX; biases are 0.
    """
    import tensorflow as tf  # where it is absent, `benchmarks/gpu.py` still builds networks, with Keras's own values

    for position, layer in enumerate(layers):
        if isinstance(layer, keras.layers.Dense):
            limit = math.sqrt(6 / sum(layer.kernel.shape))
            with tf.device("CPU:0"):
                kernel = tf.random.stateless_uniform(layer.kernel.shape, [seed + position, 0], -limit, limit)
            layer.kernel.assign(kernel.numpy())
            layer.bias.assign(keras.ops.zeros_like(layer.bias.value))
        elif isinstance(layer, keras.layers.Dropout):
            layer.seed_generator.state.assign([seed, position])


def scale_features(layers: Iterable[keras.layers.Layer], batches: Iterable[np.ndarray]) -> None:
    """Lets a scaled head centre its features on their mean, and divide all by one number, so that they deviate as usual.

    A head without such a layer is left as it is.

    Args:
      layers: Layers of the head.
      batches: Features of the training images, float (b, features).
    """
    scale = next((layer for layer in layers if layer.name == _SCALE), None)
    if scale is None:
        return
    images, total, squares = 0, np.zeros(()), np.zeros(())
    for batch in batches:
        rows = np.asarray(batch, np.float64)
        images, total, squares = images + len(rows), total + rows.sum(axis=0), squares + np.square(rows).sum(axis=0)
    mean = total / images
    variance = max(float(np.mean(squares / images - np.square(mean))), _EPSILON)
    scale.moving_mean.assign(mean)
    scale.moving_variance.assign(np.full(mean.shape, variance / _DEVIATION**2 - _EPSILON))


def linear_head(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Returns kernel and bias of a linear head, float32 (features, logits) and (logits,), as a function of the pooled features.

    A scale between the two (`scale_features`) is part of them.
    """
    kernel, bias = model.get_layer("logits").get_weights()
    for scale in (layer for layer in model.layers if layer.name == _SCALE):
        mean, variance = scale.get_weights()
        kernel = kernel / np.sqrt(variance + _EPSILON)[:, None]
        bias = bias - mean @ kernel
    return kernel, bias


def zero_logits(layers: Iterable[keras.layers.Layer]) -> None:
    """Sets the kernel of a head's last layer to zeros, so that it begins with the same answer for every image."""
    logits = list(layers)[-1]
    logits.kernel.assign(keras.ops.zeros_like(logits.kernel.value))


def layers_to_json(layers: Iterable[keras.layers.Layer]) -> str:
    """Returns layers without their weights as the text of `model.head_layers`.

    They are named head_1, head_2 and so on, so that the text does not depend on what else the program has built.

    Raises:
      ConfigError: There is no layer, or one that Keras does not make from a config alone.
    """
    configs = []
    for number, layer in enumerate(layers, start=1):
        if not isinstance(layer, keras.layers.Layer):
            raise ConfigError(
                f"head: expected layers of Keras. Received: {type(layer).__name__}. Give head=[layer, ...]."
            )
        described = {**keras.saving.serialize_keras_object(layer), "build_config": None}
        described["config"] = {**described["config"], "name": f"head_{number}"}
        configs.append(described)
    text = json.dumps(configs, sort_keys=True)
    layers_from_json(text)
    return text


def layers_from_json(text: str) -> list[keras.layers.Layer]:
    """Returns new layers from the text of `model.head_layers`, without running code from it.

    Raises:
      ConfigError: A layer is not Keras's own, so that `model.keras` could not be read elsewhere, or its config does not fit.
    """
    try:
        configs = parse_layers(text)
        require_network_alone(configs)
        return [keras.saving.deserialize_keras_object(config, safe_mode=True) for config in configs]
    except ConfigError:
        raise
    except Exception as error:  # Keras raises its own types
        raise ConfigError(
            f"head_layers: expected layers of Keras itself, which any program can read from model.keras. Received: "
            f"{first_line(error)}. Put layers of your own on a model of "
            "tl_keras.build, and train it with fit."
        ) from error
