"""Collects the private parts of Keras that the package uses, each checked where it is used.

Keras gives no guarantee about them. `make test-keras-versions` runs their tests on every minor version named here. If a
version has removed a part, the first use raises a `DependencyError` that names a version to install.
"""

from __future__ import annotations

import collections
import contextlib
import importlib
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tl_keras.errors import DependencyError

if TYPE_CHECKING:
    import keras

TESTED_VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.15")


def graph_nodes(model: keras.Model) -> list[Any]:
    """Returns the nodes of a functional model's graph, from input to output.

    Each has `operation` (a layer, or an operation such as a bare addition), `input_tensors` and `output_tensors`.
    """
    depths = _private(model, "_nodes_by_depth")
    return [node for depth in sorted(depths, reverse=True) for node in depths[depth]]


def takers(model: keras.Model) -> dict[int, list[Any]]:
    """Returns the nodes of a functional model's graph that take each tensor, by the tensor's `id`; None stands for an output."""
    found: dict[int, list[Any]] = collections.defaultdict(list)
    for node in graph_nodes(model):
        for tensor in node.input_tensors:
            found[id(tensor)].append(node)
    for tensor in model.outputs:
        found[id(tensor)].append(None)
    return found


def is_graph(layer: keras.layers.Layer) -> bool:
    """Returns whether a layer is a functional model, which `graph_nodes` reads."""
    return hasattr(layer, "_nodes_by_depth")


def graphs(model: keras.Model) -> list[Any]:
    """Returns a functional model itself, if it is one, and those inside it."""
    return [layer for layer in all_layers(model) if is_graph(layer)]


def call_layers_again(model: keras.Model, inputs: Any, *, instead: Callable[[Any], Any] = lambda layer: layer) -> Any:
    """Calls the layers of a functional model once more on another symbolic input, and returns the symbolic output.

    Args:
      model: Functional model.
      inputs: Symbolic input.
      instead: Function that returns what is called in a layer's place, with its arguments.
    """
    return _private(model, "_run_through_graph")(inputs, operation_fn=instead)


def own_trainable_variables(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Returns the variables that gradients change of a layer itself, without those of layers inside it."""
    return [variable for variable in _private(layer, "_trainable_variables") if variable is not None]


def kernel_without_lora(layer: keras.layers.Layer) -> keras.Variable:
    """Returns the kernel of a dense layer itself; its `kernel` is the sum with the product of LoRA's matrices."""
    return _private(layer, "_kernel")


def variable_position(optimizer: keras.optimizers.Optimizer, variable: Any) -> int:
    """Returns the position of a variable, as `update_step` received it, among the variables that an optimizer trains."""
    return _private(optimizer, "_get_variable_index")(variable)


def all_layers(model: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns a model or layer itself, its layers, and those inside them."""
    return list(_private(model, "_flatten_layers")())


@contextlib.contextmanager
def recorded_attention(layers: Sequence[keras.layers.Layer], added: Sequence[Any] = ()) -> Iterator[list[Any]]:
    """Makes layers of attention note the probabilities that they compute, in the order of their calls.

    Args:
      layers: `keras.layers.MultiHeadAttention` layers.
      added: Tensors to add to the probabilities of each call, (batch, heads, to, from); none if empty.

    Yields:
      The probabilities, (batch, heads, to, from), of each call so far.
    """
    recorded: list[Any] = []

    def with_scores(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, return_attention_scores: bool = False, **kwargs: Any) -> Any:
            # Keras computes probabilities one by one only where they are asked for.
            both = call(*args, return_attention_scores=True, **kwargs)
            return both if return_attention_scores else both[0]

        return called

    def noting(softmax: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            probabilities = softmax(*args, **kwargs)
            if added:
                probabilities = probabilities + added[len(recorded)]
            recorded.append(probabilities)
            return probabilities

        return noted

    for layer in layers:
        vars(layer).update(call=with_scores(layer.call), _masked_softmax=noting(_private(layer, "_masked_softmax")))
    try:
        yield recorded
    finally:
        for layer in layers:
            del vars(layer)["call"], vars(layer)["_masked_softmax"]


def build_metrics(model: keras.Model, batch: tuple[Any, ...]) -> None:
    """Builds a compiled model's metrics from a batch, so that `fit` and `evaluate` do not build them from theirs.

    Args:
      model: Compiled model.
      batch: Inputs, labels and weights, NumPy arrays with the shapes that a step takes.
    """
    _private(model, "_maybe_symbolic_build")
    _private(model, "_symbolic_build")(data_batch=batch)
    model._maybe_symbolic_build = lambda **_: None


def keep_metrics_of_one_worker() -> None:
    """Makes Keras's TensorFlow trainer return the metrics of one worker's step, as it does with MirroredStrategy.

    Keras 3.15 sums metrics over the workers along an axis that they do not have (keras issue 20585).
    """
    trainer = importlib.import_module("keras.src.backend.tensorflow.trainer")
    name = "_collective_all_reduce_multi_worker"
    _private(trainer, name)
    setattr(trainer, name, lambda strategy: False)


@contextlib.contextmanager
def with_keras_home(folder: pathlib.Path) -> Iterator[None]:
    """Makes Keras use another directory for its weights; Keras itself reads KERAS_HOME only once, on import."""
    config = importlib.import_module("keras.src.backend.config")
    before = _private(config, "_KERAS_DIR")
    config.__dict__["_KERAS_DIR"] = str(folder)
    try:
        yield
    finally:
        config.__dict__["_KERAS_DIR"] = before


def _private(owner: Any, name: str) -> Any:
    """Returns a private attribute.

    Raises:
      DependencyError: The installed Keras does not have it.
    """
    import keras

    if not hasattr(owner, name):
        raise DependencyError(
            f"keras: expected {name} of {getattr(owner, '__name__', type(owner).__name__)}, as in Keras "
            f"{TESTED_VERSIONS[0]} to {TESTED_VERSIONS[-1]}. Received: Keras {keras.__version__}, which lacks it. Run: "
            f"pip install 'keras=={TESTED_VERSIONS[-1]}.*'"
        )
    return getattr(owner, name)
