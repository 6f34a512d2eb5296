"""Turns a network in inference mode into one constant TensorFlow graph, with normalisation folded into its convolutions.

The student that is exported is such a graph, and so is the fastest forward pass of frozen layers on TensorFlow alone.

TensorFlow's own optimizer leaves a multiplication and an addition after each depthwise convolution, and fuses a convolution
with the activation after it only if a `BiasAdd` is between them. Rewritten that way, MobileNetV2 runs at 1.5 times the speed
of the constant graph as traced.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Operations that Keras computes from weights alone, on the way into a batch normalisation or a bias.
_CONSTANT_OPERATIONS: dict[str, Callable[..., np.ndarray]] = {
    "Identity": lambda value: value,
    "AddV2": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Rsqrt": lambda value: 1 / np.sqrt(value),
    "Reshape": np.reshape,
    "Squeeze": np.squeeze,
}
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")


def frozen_graph(model: keras.Model) -> Any:
    """Traces a network once, with its weights as constants, and folds operations where possible.

    Args:
      model: Built functional model on the TensorFlow backend. Later changes of its weights are ignored.

    Returns:
      A concrete function of tensors in the order of `model.inputs`, each (batch, ...) with any batch size. It returns the
      model's outputs in inference mode as a flat list.
    """
    signature = [tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for tensor in model.inputs]
    return folded(_traced(model, signature), signature)


def folded(function: Any, signature: Sequence[tf.TensorSpec]) -> Any:
    """Returns a constant graph with the operations that follow a convolution folded into it, where possible.

    Args:
      function: Concrete function whose weights are constants, of tensors by `signature`, that returns a flat list of tensors.
      signature: Types of the tensors that the new function takes.

    Returns:
      A concrete function that returns the same list. Its numbers differ by rounding.
    """
    return _imported(_rewritten(function), signature)


def _traced(model: keras.Model, signature: list[Any]) -> Any:
    trainable = [keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables]
    other = [keras.ops.convert_to_numpy(variable) for variable in model.non_trainable_variables]

    def forward(*inputs: tf.Tensor) -> Any:
        outputs, _ = model.stateless_call(
            [tf.constant(value) for value in trainable],
            [tf.constant(value) for value in other],
            keras.tree.pack_sequence_as(model.input, inputs),
            training=False,
        )
        return keras.tree.flatten(outputs)

    return tf.function(forward, input_signature=signature, autograph=False).get_concrete_function()


def _rewritten(function: Any) -> tuple[Any, list[str], list[str]]:
    """Returns the rewritten graph, and the names of its input and output tensors."""
    graph = function.graph.as_graph_def()
    nodes = {node.name: node for node in graph.node}
    constants: dict[str, np.ndarray] = {}
    consumers: dict[str, list[Any]] = collections.defaultdict(list)
    for node in graph.node:  # nodes of a function are in the order of their computation
        # Nothing needs to wait until a constant is read, and what waited would keep the unfolded weights.
        waiting = [name for name in node.input if name.startswith("^") and _producer(name) in constants]
        for name in waiting:
            node.input.remove(name)
        inputs = [_producer(name) for name in node.input]
        for name in inputs:
            consumers[name].append(node)
        if node.op == "Const":
            constants[node.name] = tf.make_ndarray(node.attr["value"].tensor)
        elif node.op in _CONSTANT_OPERATIONS and all(name in constants for name in inputs):
            constants[node.name] = _CONSTANT_OPERATIONS[node.op](*(constants[name] for name in inputs))
    outputs = [tensor.name for tensor in function.outputs]
    for name in outputs:
        consumers[_producer(name)].append(None)  # a consumer outside, into which nothing can be folded

    for node in list(graph.node):
        if node.op in _CONVOLUTIONS and node.attr["T"].type == tf.float32.as_datatype_enum:
            kernel = constants.get(_producer(node.input[1]))
            if kernel is not None and node.attr["data_format"].s == b"NHWC":
                _absorb_padding(node, kernel, nodes[_producer(node.input[0])], constants, function.graph)
                _absorb_affine(node, kernel, consumers, constants, graph)
    _drop_unused(graph, outputs)
    return graph, [tensor.name for tensor in function.inputs], outputs


def _absorb_padding(node: Any, kernel: np.ndarray, source: Any, constants: dict[str, np.ndarray], graph: Any) -> None:
    """Lets a convolution pad by itself if it would pad with as many zeros as the node before it, which saves a copy."""
    if source.op != "Pad" or node.attr["padding"].s != b"VALID":
        return
    sizes = graph.get_tensor_by_name(f"{_producer(source.input[0])}:0").shape[1:3]
    if None in sizes:
        return
    same = [[0, 0]]
    for size, extent, stride in zip(sizes, kernel.shape[:2], node.attr["strides"].list.i[1:3], strict=True):
        # https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
        total = max((-(-size // stride) - 1) * stride + extent - size, 0)
        same.append([total // 2, total - total // 2])
    if np.array_equal(constants[_producer(source.input[1])], [*same, [0, 0]]):
        node.attr["padding"].s = b"SAME"
        node.input[0] = source.input[0]


def _absorb_affine(
    node: Any, kernel: np.ndarray, consumers: dict[str, list[Any]], constants: dict[str, np.ndarray], graph: Any
) -> None:
    """Folds the multiplications and additions by channel that follow a convolution into its kernel and one `BiasAdd`."""
    per_channel = kernel.shape[-2:] if node.op == "DepthwiseConv2dNative" else kernel.shape[-1:]
    scale, shift = np.ones(per_channel, np.float32).ravel(), np.zeros(per_channel, np.float32).ravel()
    last = node
    while len(consumers[last.name]) == 1 and (following := consumers[last.name][0]) is not None:
        operands = [constants[name] for name in map(_producer, following.input) if name in constants]
        if (
            following.op not in ("Mul", "AddV2", "BiasAdd")
            or len(operands) != 1
            or not _by_channel(operands[0], scale.size)
        ):
            break
        factor_or_term = operands[0].ravel()
        if following.op == "Mul":
            scale, shift = scale * factor_or_term, shift * factor_or_term
        else:
            shift = shift + factor_or_term
        last = following
    if last is node:
        return
    kernel_name, bias_name = f"{node.name}/folded_kernel", f"{node.name}/folded_bias"
    _add_constant(graph, kernel_name, kernel * scale.reshape(per_channel))
    _add_constant(graph, bias_name, shift)
    node.input[1] = kernel_name
    name = last.name
    last.Clear()  # the node becomes the BiasAdd, and its consumers find it by its name
    last.name, last.op = name, "BiasAdd"
    last.input.extend([node.name, bias_name])
    last.attr["T"].type = tf.float32.as_datatype_enum


def _by_channel(operand: np.ndarray, channels: int) -> bool:
    """Returns whether every pixel meets the same numbers, one number or one per channel."""
    return operand.size == 1 or (operand.size == channels and operand.shape[-1] == channels)


def _add_constant(graph: Any, name: str, value: np.ndarray) -> None:
    node = graph.node.add(name=name, op="Const")
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.float32))


def _drop_unused(graph: Any, outputs: Iterable[str]) -> None:
    """Removes nodes that no output needs, above all the unfolded weights, and the placeholders."""
    nodes = {node.name: node for node in graph.node}
    needed, waiting = set(), [_producer(name) for name in outputs]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += map(_producer, nodes[name].input)
    kept = [node for node in graph.node if node.name in needed and node.op != "Placeholder"]
    del graph.node[:]
    graph.node.extend(kept)


def _imported(rewritten: tuple[Any, list[str], list[str]], signature: Sequence[tf.TensorSpec]) -> Any:
    graph, inputs, outputs = rewritten

    def forward(*tensors: tf.Tensor) -> Any:
        return tf.graph_util.import_graph_def(
            graph, input_map=dict(zip(inputs, tensors, strict=True)), return_elements=outputs, name=""
        )

    return tf.function(forward, input_signature=signature, autograph=False).get_concrete_function()


def _producer(tensor_name: str) -> str:
    """Returns the node of `node`, `node:0` or the control input `^node`."""
    return tensor_name.removeprefix("^").partition(":")[0]
