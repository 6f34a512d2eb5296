"""Reports what a run would be on a TPU, from its training step compiled for one."""

from __future__ import annotations

import dataclasses

import keras

from tl_keras.config import TransferConfig
from tl_keras.data.pipeline import steps_per_epoch
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.distribution.libtpu import chip_of
from tl_keras.distribution.precision import computing_in, dtype_policy
from tl_keras.distribution.tpu_compile import CompiledStep, DoesNotFitError, compile_step, require_no_geometry
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import decide, prepare

# The compiled program, by backend.
_COMPILED = {
    "jax": "one program of Keras on JAX over all of them",
    "tensorflow": "the program of each, of Keras on TensorFlow, its sums over all",
}

# Parts of the batch that memory, extrapolated linearly, would allow, in the order in which they are tried.
_TRIED = (1.0, 0.9, 0.8, 0.65)


@dataclasses.dataclass(frozen=True)
class TpuReport:
    """The figures of the compiler and the chip's data sheet for a run.

    Attributes:
      topology: Chip and shape.
      precision: Keras's dtype policy of the backbone.
      step: The compiled step.
      largest_batch: Largest global batch that fits; 0 if it was not searched for.
      steps: Number of steps in the last phase.
      least_seconds: Lower bound of the time for all of them.
      least_cost: Cost of that time at the config's `price_per_hour` of all chips together; None if it has none.
    """

    topology: str
    precision: str
    step: CompiledStep
    largest_batch: int
    steps: int
    least_seconds: float
    least_cost: float | None

    def as_text(self) -> str:
        """Returns the report in a few lines."""
        step = self.step
        cost = "" if self.least_cost is None else f", {self.least_cost:.2g} at your price,"
        largest = f"; the largest batch that fits is {self.largest_batch}" if self.largest_batch else ""
        return (
            f"compiled for TPU {self.topology} ({step.chips} chips), {_COMPILED[step.backend]}, in "
            f"{self.precision}; not executed on one\n"
            f"memory: {step.memory_bytes / 2**30:.2f} GiB per chip with a batch of {step.global_batch_size}: it fits{largest}\n"
            f"a step, each chip: {step.flops / 1e9:.1f} GFLOP, {step.bytes_moved / 1e9:.2f} GB moved, {step.all_reduces} "
            "all-reduces\n"
            f"the last phase: {self.steps} steps, {self.least_seconds:.2g} s{cost} at the very least, with "
            "nothing waiting; less where frozen layers come from the cache\n"
            "what this cannot know: whether the numbers come out right, the real speed, and whether the host feeds it fast enough"
        )


@with_own_keras_settings
def report_step(config: TransferConfig, *, topology: str, look_for_largest: bool) -> TpuReport:
    """Compiles the step of a run's last phase on images, with frozen layers computed in it, on the backend of Keras.

    Raises:
      TransferError: The config cannot work, or the step cannot be compiled or does not fit.
    """
    config = decide(config)
    precision, batch_size = dtype_policy(config.precision, "tpu"), config.training.global_batch_size
    # The step is traced on this machine; how images are mirrored or turned does not matter to it.
    config.strategy, config.replicas = "jax" if keras.backend.backend() == "jax" else "cpu", 0
    config.precision, config.data.horizontal_flip, config.data.quarter_turns = "float32", "off", "off"
    models = ModelCache()
    prepared = prepare(config, models)
    require_no_geometry(prepared.student.model)
    last = prepared.phases[-1]
    trainer = models.trainer(
        prepared.student,
        last.plan,
        config.training,
        on_features=False,
        loss=prepared.loss,
        task=prepared.task,
        distributor=prepared.distributor,
    )
    with computing_in(precision, prepared.student.backbone):
        step = compile_step(trainer, topology=topology, global_batch_size=batch_size)
        largest_batch = _largest_batch(trainer, topology, step) if look_for_largest else 0
    steps = steps_per_epoch(len(prepared.splits.train), batch_size) * last.epochs
    seconds = steps * step.least_seconds(chip_of(topology))
    return TpuReport(
        topology=topology,
        precision=precision,
        step=step,
        largest_batch=largest_batch,
        steps=steps,
        least_seconds=seconds,
        least_cost=seconds / 3600 * config.price_per_hour if config.price_per_hour else None,
    )


def _largest_batch(trainer: keras.Model, topology: str, step: CompiledStep) -> int:
    """Returns the largest global batch that was found to fit: the one on the line through two steps, or slightly less."""
    try:
        double = compile_step(trainer, topology=topology, global_batch_size=2 * step.global_batch_size)
    except DoesNotFitError:
        return step.global_batch_size
    bytes_an_image = max(1.0, (double.memory_bytes - step.memory_bytes) / step.global_batch_size)
    free = chip_of(topology).memory_bytes - double.memory_bytes
    for part in _TRIED:
        batch = int(part * (double.global_batch_size + free / bytes_an_image)) // step.chips * step.chips
        if batch <= double.global_batch_size:
            break
        try:
            return compile_step(trainer, topology=topology, global_batch_size=batch).global_batch_size
        except DoesNotFitError:
            continue
    return double.global_batch_size
