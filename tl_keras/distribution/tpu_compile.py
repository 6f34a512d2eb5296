"""Compiles a training step of Keras on JAX for a TPU that is not there: libtpu's compiler needs none."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator

import keras
import numpy as np

from tl_keras.distribution.libtpu import ChipSpec
from tl_keras.errors import ConfigError

# Rotations and the like gather pixel by pixel: TensorFlow's XLA has no kernel for them, and JAX moves 500 times the bytes.
_GEOMETRIC = (
    "RandomRotation",
    "RandomZoom",
    "RandomTranslation",
    "RandomShear",
    "RandomPerspective",
    "RandomElasticTransform",
)


@dataclasses.dataclass(frozen=True)
class CompiledStep:
    """What the compiler says of one step on one of the chips.

    Attributes:
      chips: Of the topology.
      global_batch_size: Images, over all of them.
      memory_bytes: At the peak.
      flops: Floating-point operations.
      bytes_moved: To and from memory.
      all_reduces: Sums over the chips.
    """

    chips: int
    global_batch_size: int
    memory_bytes: int
    flops: float
    bytes_moved: float
    all_reduces: int

    def least_seconds(self, chip: ChipSpec) -> float:
        """Returns a lower bound of the step's time: neither arithmetic nor memory can be faster."""
        return max(self.flops / chip.flops, self.bytes_moved / chip.bytes_per_second)


class DoesNotFitError(ConfigError):
    """The step needs more memory than the chip has."""


def require_no_geometry(model: keras.Model) -> None:
    """Raises a ConfigError where the model itself rotates, zooms or shifts images."""
    found = [type(layer).__name__ for layer in model._flatten_layers() if type(layer).__name__ in _GEOMETRIC]
    if found:
        raise ConfigError(
            f"model: expected geometric augmentation in the pipeline (--augmentation), since a TPU cannot compile it or crawls. "
            f"Received: {', '.join(found)} in the model. Use a teacher without."
        )


def compile_step(model: keras.Model, *, topology: str, global_batch_size: int) -> CompiledStep:
    """Compiles the training step of a compiled model, data parallel over the chips of a topology.

    Args:
      model: Keras on JAX, its optimizer built.
      topology: A chip and a shape, such as `v5e:2x2`.
      global_batch_size: Images over all chips, a multiple of their number.

    Raises:
      ConfigError: The topology is not one that libtpu knows, or the batch does not divide by its chips.
      DoesNotFitError: The chip has less memory than the step needs.
    """
    import jax
    from jax.experimental import topologies
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    try:
        devices = topologies.get_topology_desc(platform="tpu", topology_name=topology).devices
    except Exception as error:  # JaxRuntimeError, or what the plugin raises
        raise ConfigError(
            f"topology: expected one that libtpu knows. Received: {topology} ({_first_line(error)})."
        ) from error
    if global_batch_size % len(devices):
        raise ConfigError(
            f"batch_size: expected a multiple of the {len(devices)} chips of {topology}. Received: {global_batch_size}."
        )
    mesh = Mesh(np.array(devices), ("batch",))
    everywhere, divided = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("batch"))

    def shape_of(variable: keras.Variable) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(variable.shape, variable.value.dtype, sharding=everywhere)

    def batch_of(shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((global_batch_size, *shape), np.float32, sharding=divided)

    shapes = ([tensor.shape[1:] for tensor in model.inputs], model.output_shape[1:], ())
    blank = [np.zeros((1, *shape), np.float32) for shape in shapes[0]]
    model._symbolic_build(
        data_batch=(_one_or_all(blank), np.zeros((1, *shapes[1]), np.float32), np.ones(1, np.float32))
    )
    kinds = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state = tuple([shape_of(variable) for variable in variables] for variables in kinds)
    batch = (_one_or_all([batch_of(shape) for shape in shapes[0]]), batch_of(shapes[1]), batch_of(shapes[2]))
    lowered = jax.jit(model.train_step, donate_argnums=0).trace(state, batch).lower(lowering_platforms=("tpu",))
    with _refusing(topology, global_batch_size):
        compiled = lowered.compile()
    memory, cost, text = compiled.memory_analysis(), compiled.cost_analysis(), compiled.as_text()
    used = memory.argument_size_in_bytes + memory.temp_size_in_bytes + memory.output_size_in_bytes
    return CompiledStep(
        chips=len(devices),
        global_batch_size=global_batch_size,
        memory_bytes=used - memory.alias_size_in_bytes,
        flops=cost["flops"],
        bytes_moved=cost["bytes accessed"],
        all_reduces=text.count(" all-reduce(") + text.count("all-reduce-start("),
    )


@contextlib.contextmanager
def _refusing(topology: str, global_batch_size: int) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # JaxRuntimeError, whose text alone says what it is
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise ConfigError(f"tpu_check: {topology} cannot compile the step: {_first_line(error)}.") from error
        sizes = re.search(r"\((\S+)\) exceeds available HBM \((\S+)\)", str(error))
        used = f"{sizes[1]} of {sizes[2]}" if sizes else _first_line(error)
        raise DoesNotFitError(
            f"tpu_check: expected a step that fits in the memory of a chip of {topology}. Received: {used} with "
            f"--batch_size={global_batch_size}. Use a smaller one, more chips or a smaller --image_size."
        ) from error


def _one_or_all(values: list):
    return values[0] if len(values) == 1 else tuple(values)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300].rstrip(".")
