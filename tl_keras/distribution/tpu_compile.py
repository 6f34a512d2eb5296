"""Compiles a training step of Keras on JAX or TensorFlow for a TPU that is absent, with libtpu's compiler."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from tl_keras.console import first_line
from tl_keras.distribution.distributor import blank_batch
from tl_keras.distribution.libtpu import ChipSpec
from tl_keras.errors import ConfigError
from tl_keras.keras_internals import all_layers, build_metrics

# Rotations and the like gather single pixels: TensorFlow's XLA has no kernel for them, and JAX moves 500 times the bytes.
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
    """The compiler's figures for one step on one of the chips.

    Attributes:
      backend: Backend of Keras, as in `Hardware`.
      chips: Number of chips in the topology.
      global_batch_size: Number of images over all chips.
      memory_bytes: Memory at the peak.
      flops: Number of floating-point operations.
      bytes_moved: Number of bytes read from and written to memory.
      all_reduces: Number of sums over the chips.
    """

    backend: str
    chips: int
    global_batch_size: int
    memory_bytes: int
    flops: float
    bytes_moved: float
    all_reduces: int

    def least_seconds(self, chip: ChipSpec) -> float:
        """Returns a lower bound of the step's time, given by arithmetic and memory bandwidth."""
        return max(self.flops / chip.flops, self.bytes_moved / chip.bytes_per_second)


class DoesNotFitError(ConfigError):
    """The step needs more memory than the chip has."""


def require_no_geometry(model: keras.Model) -> None:
    """Raises a ConfigError if the model itself rotates, zooms or shifts images."""
    found = [type(layer).__name__ for layer in all_layers(model) if type(layer).__name__ in _GEOMETRIC]
    if found:
        raise ConfigError(
            f"model: expected geometric augmentation in the pipeline (--augmentation), since a TPU "
            "cannot compile it or runs it very slowly. "
            f"Received: {', '.join(found)} in the model. Use a teacher without."
        )


def compile_step(model: keras.Model, *, topology: str, global_batch_size: int) -> CompiledStep:
    """Compiles the training step of a compiled model, data parallel over the chips of a topology.

    On TensorFlow, `tf_lowering` lowers the step of one replica with its sums over all replicas.

    Args:
      model: Compiled model with a built optimizer.
      topology: Chip and shape, such as `v5e:2x2`.
      global_batch_size: Number of images over all chips, a multiple of their number.

    Raises:
      ConfigError: libtpu does not know the topology, its chips do not divide the batch, or the step contains an operation
        that a TPU cannot run.
      DoesNotFitError: The chip has less memory than the step needs.
    """
    from jax.experimental import topologies

    try:
        devices = topologies.get_topology_desc(platform="tpu", topology_name=topology).devices
    except Exception as error:  # JaxRuntimeError, or what the plugin raises
        raise ConfigError(
            f"topology: expected one that libtpu knows. Received: {topology} ({first_line(error)})."
        ) from error
    if global_batch_size % len(devices):
        raise ConfigError(
            f"batch_size: expected a multiple of the {len(devices)} chips of {topology}. Received: {global_batch_size}."
        )
    build_metrics(model, blank_batch(model, 1))
    backend = keras.backend.backend()
    with _refusing(topology, global_batch_size):
        executable = {"jax": _compiled_of_jax, "tensorflow": _compiled_of_tensorflow}[backend](
            model, devices, global_batch_size
        )
    memory, cost = executable.get_compiled_memory_stats(), executable.cost_analysis()
    text = executable.hlo_modules()[0].to_string()
    used = memory.argument_size_in_bytes + memory.temp_size_in_bytes + memory.output_size_in_bytes
    return CompiledStep(
        backend=backend,
        chips=len(devices),
        global_batch_size=global_batch_size,
        memory_bytes=used - memory.alias_size_in_bytes,
        flops=cost["flops"],
        bytes_moved=cost["bytes accessed"],
        all_reduces=text.count(" all-reduce(") + text.count("all-reduce-start("),
    )


def _compiled_of_jax(model: keras.Model, devices: Sequence[Any], global_batch_size: int) -> Any:
    """Returns jaxlib's executable of one program over all chips, with the batch divided among them."""
    import jax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    mesh = Mesh(np.array(devices), ("batch",))
    everywhere, divided = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("batch"))
    kinds = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state = tuple(
        [jax.ShapeDtypeStruct(variable.shape, variable.value.dtype, sharding=everywhere) for variable in variables]
        for variables in kinds
    )
    batch = jax.tree.map(
        lambda blank: jax.ShapeDtypeStruct((global_batch_size, *blank.shape[1:]), blank.dtype, sharding=divided),
        blank_batch(model, 1),
    )
    step = jax.jit(model.train_step, donate_argnums=0)
    return step.trace(state, batch).lower(lowering_platforms=("tpu",)).compile().runtime_executable()


def _compiled_of_tensorflow(model: keras.Model, devices: Sequence[Any], global_batch_size: int) -> Any:
    """Returns jaxlib's executable of the program of one replica, which each chip runs once."""
    from jax.extend.mlir import hlo_to_stablehlo
    from jax.interpreters.mlir import make_ir_context
    from jaxlib import xla_client
    from jaxlib.mlir import ir

    from tl_keras.distribution.tf_lowering import lower_step

    options = xla_client.CompileOptions()
    options.num_replicas = len(devices)
    ids = np.array([[device.id] for device in devices])
    options.device_assignment = xla_client.DeviceAssignment.create(ids)  # (replicas, parts of one)
    with make_ir_context():
        program = ir.Module.parse(
            hlo_to_stablehlo(lower_step(model, replicas=len(devices), global_batch_size=global_batch_size))
        )
        _drop_copies(program.operation)
        return devices[0].client.compile(program, xla_client.DeviceList(tuple(devices)), options)


def _drop_copies(operation: Any) -> None:
    """Removes copies of results from a program: TensorFlow inserts them, and StableHLO has no operation for them."""
    for block in (block for region in operation.regions for block in region.blocks):
        for inner in [view.operation for view in block.operations]:
            if inner.name == "mhlo.copy":
                inner.results[0].replace_all_uses_with(inner.operands[0])
                inner.erase()
            else:
                _drop_copies(inner)


@contextlib.contextmanager
def _refusing(topology: str, global_batch_size: int) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # JaxRuntimeError, which only its text explains
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise ConfigError(f"tpu_check: {topology} cannot compile the step: {first_line(error)}.") from error
        sizes = re.search(r"\((\S+)\) exceeds available HBM \((\S+)\)", str(error))
        used = f"{sizes[1]} of {sizes[2]}" if sizes else first_line(error)
        raise DoesNotFitError(
            f"tpu_check: expected a step that fits in the memory of a chip of {topology}. Received: {used} with "
            f"--batch_size={global_batch_size}. Use a smaller one, more chips or a smaller --image_size."
        ) from error
