"""Makes keras-cv's RandAugment a function of an image and its seed; imported only for `--augmentation=strong`.

The layers of keras-cv draw from `tf.random.Generator`s, which are shared and stateful, and from factor samplers that call
`tf.random`. Under a parallel map they give other images on every run, and keras-cv has no public way to seed an image. This
file replaces both by draws from the seed of the image. If an update of keras-cv draws in another way, tracing the graph finds
it and raises an error.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import keras_cv
import tensorflow as tf

from tl_keras.errors import DependencyError

_OPERATIONS_PER_IMAGE = 2
_MAGNITUDE = 0.3  # 9 of 30, the usual choice for fine-tuning

# Prefixes of TensorFlow operations that draw from a state.
_STATEFUL_DRAWS = ("Random", "Stateful", "TruncatedNormal", "Multinomial", "ParameterizedTruncatedNormal", "VarHandle")


class SeededRandAugment:
    """Applies two random operations of keras-cv's RandAugment to each image, decided by the image's seed alone."""

    def __init__(self) -> None:
        self._draws = _Draws()
        self._layer = keras_cv.layers.RandAugment(
            value_range=(0, 255), augmentations_per_image=_OPERATIONS_PER_IMAGE, magnitude=_MAGNITUDE
        )
        for layer in (self._layer, self._layer._random_choice, *self._layer.layers):
            # In float32 whatever the precision of training, since half precision is coarser than a pixel's 256 levels.
            layer.dtype_policy = "float32"
            layer._random_generator = self._draws
            for name, sampler in list(vars(layer).items()):
                if isinstance(sampler, keras_cv.core.UniformFactorSampler):
                    setattr(layer, name, functools.partial(self._draws.uniform_factor, sampler))
                elif isinstance(sampler, keras_cv.core.NormalFactorSampler):
                    setattr(layer, name, functools.partial(self._draws.normal_factor, sampler))

    # A graph even if called eagerly, because draws are numbered and an eager call skips branches.
    @tf.function
    def __call__(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the changed image, float32 (height, width, 3), 0 to 255.

        Raises:
          DependencyError: The installed keras-cv draws in a way that this wrapper does not know.
        """
        with self._draws.from_seed(seed):
            augmented = self._layer(image)
        _require_stateless(tf.compat.v1.get_default_graph())
        return tf.ensure_shape(tf.clip_by_value(augmented, 0.0, 255.0), image.shape)


def _require_stateless(graph: tf.Graph) -> None:
    """Raises a DependencyError if a graph, or a function in it, draws from anything but a seed."""
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    stateful = sorted({node.op for node in nodes if node.op.startswith(_STATEFUL_DRAWS)})
    if stateful:
        raise DependencyError(
            f"augmentation: expected a keras-cv whose draws can be seeded by image, such as 0.9.0. Received: keras-cv "
            f"{keras_cv.__version__}, which draws by {', '.join(stateful)}. Run: pip install keras-cv==0.9.0, or use "
            "--augmentation=light."
        )


class _Draws:
    """Replaces a `tf.random.Generator`: the n-th draw of a graph depends only on the seed and n."""

    def __init__(self) -> None:
        self._seed: tf.Tensor | None = None
        self._count = 0

    @contextlib.contextmanager
    def from_seed(self, seed: tf.Tensor) -> Iterator[None]:
        """Draws from a seed, int32 or int64 (2,), within a `with` statement."""
        self._seed, self._count = seed, 0
        try:
            yield
        finally:
            self._seed = None

    def _next_seed(self) -> tf.Tensor:
        self._count += 1
        return tf.random.fold_in(self._seed, self._count)

    def uniform(
        self, shape: Sequence[int], minval: float = 0, maxval: float | None = None, dtype: tf.DType = tf.float32
    ) -> tf.Tensor:
        """Draws as `tf.random.Generator.uniform` does."""
        return tf.random.stateless_uniform(shape, self._next_seed(), minval, maxval, dtype)

    def uniform_factor(self, sampler: Any, shape: Sequence[int] = (), dtype: str = "float32") -> tf.Tensor:
        """Draws as `keras_cv.core.UniformFactorSampler.__call__` does."""
        return tf.random.stateless_uniform(shape, self._next_seed(), sampler.lower, sampler.upper, dtype)

    def normal_factor(self, sampler: Any, shape: Sequence[int] = (), dtype: str = "float32") -> tf.Tensor:
        """Draws as `keras_cv.core.NormalFactorSampler.__call__` does."""
        drawn = tf.random.stateless_normal(shape, self._next_seed(), sampler.mean, sampler.stddev, dtype)
        return tf.clip_by_value(drawn, sampler.min_value, sampler.max_value)
