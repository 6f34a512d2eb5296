"""Shows where a transformer looks, by its attention weighted with gradients.

It is the rule for self-attention of Chefer et al. 2021, "Generic attention-model explainability for interpreting bi-modal and
encoder-decoder transformers", equations 5 and 6.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tl_keras.keras_internals import all_layers, recorded_attention
from tl_keras.reporting.grad_cam import gradient

# Number of attention probabilities that are held at a time, 1 GiB in float32: an image of DINOv2-S at 518 pixels has 135 million.
_MOST_PROBABILITIES = 2**28
_BATCH = 8


def attention_heat(model: keras.Model, images: np.ndarray, evidence: Callable[[Any], Any]) -> np.ndarray:
    """Returns how strongly each patch of some images supports an answer.

    The probabilities of each attention, multiplied with the gradient of the evidence, cut off at 0 and averaged over the heads,
    say which tokens a token has its support from. Multiplied from the first block to the last, they lead from the tokens that the
    head sees back to the patches. What a token brings without attention, the same for each, is left out.

    Args:
      model: A student whose blocks attend by `keras.layers.MultiHeadAttention`, as ViT, DeiT, DINOv2 and SigLIP of KerasHub do.
      images: float32 (n, image_size, image_size, 3), RGB, 0 to 255.
      evidence: See `tl_keras.reporting.grad_cam.grad_cam`.

    Returns:
      float32 (n, side, side), 0 to 1, side being that of the square of patches; 0 everywhere if nothing supports the answer.
      float32 (n, 1, 1) for a network that attends in another way, such as in windows.
    """
    layers = [layer for layer in all_layers(model) if isinstance(layer, keras.layers.MultiHeadAttention)]
    shapes = [attention.shape[1:] for attention in _probabilities(model, layers, images[:1])[1]]
    if not _is_chain(shapes):
        return np.zeros((len(images), 1, 1), np.float32)
    size = max(1, min(_BATCH, _MOST_PROBABILITIES // sum(math.prod(shape) for shape in shapes)))
    batches = [images[start : start + size] for start in range(0, len(images), size)]
    logits = np.concatenate([_probabilities(model, layers, batch)[0] for batch in batches])
    slopes = gradient(lambda answers: keras.ops.sum(evidence(answers)), logits)
    heat = np.concatenate(
        [_heat(model, layers, batch, slopes[n * size : (n + 1) * size]) for n, batch in enumerate(batches)]
    )
    highest = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, highest, out=np.zeros_like(heat), where=highest > 0)


def _probabilities(
    model: keras.Model, layers: Sequence[keras.layers.Layer], images: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns the logits of some images, and the probabilities of each attention, float32 (images, heads, to, from)."""
    with recorded_attention(layers) as recorded:
        logits = model(images, training=False)
    return keras.ops.convert_to_numpy(logits), [
        keras.ops.convert_to_numpy(keras.ops.cast(each, "float32")) for each in recorded
    ]


def _is_chain(shapes: Sequence[tuple[int, ...]]) -> bool:
    """Returns whether all attentions are among the same tokens, but for a last one, which may pool them."""
    tokens = {shape[-1] for shape in shapes}
    return len(tokens) == 1 and max(tokens) >= 4 and all(shape[-2] == shape[-1] for shape in shapes[:-1])


def _heat(
    model: keras.Model, layers: Sequence[keras.layers.Layer], images: np.ndarray, slopes: np.ndarray
) -> np.ndarray:
    """Returns the support of each patch, float32 (images, side, side), at least 0.

    Args:
      model: See `attention_heat`.
      layers: Its attentions.
      images: Images of one batch.
      slopes: Gradient of the evidence with respect to the logits, float32 (images, outputs).
    """
    probabilities = _probabilities(model, layers, images)[1]

    def evidence_of(added: list[Any]) -> Any:
        with recorded_attention(layers, added):
            return keras.ops.sum(keras.ops.cast(model(images, training=False), "float32") * slopes)

    slopes_of_attention = gradient(evidence_of, [np.zeros_like(each) for each in probabilities])
    own = np.eye(probabilities[0].shape[-1], dtype=np.float32)[None]
    support = last = own
    for attention, slope in zip(probabilities, slopes_of_attention, strict=True):
        last = np.maximum(attention * slope, 0).mean(axis=1)
        through = last @ support
        # A pooled token is another one, which has nothing but what it attends to.
        is_among_tokens = through.shape[1:] == own.shape[1:]
        support = support + through if is_among_tokens else through
    # Tokens that the head does not see have no gradient in the last attention.
    of_tokens = np.einsum("nt,ntp->np", last.sum(axis=-1), support - own if is_among_tokens else support)
    side = math.isqrt(of_tokens.shape[-1])
    # Patches are the last tokens, after class, distillation and register tokens, which are fewer than the next square has more.
    return of_tokens[:, -(side**2) :].reshape(-1, side, side)
