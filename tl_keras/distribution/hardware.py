"""Decides once what a run computes on, in a frozen record that is printed and kept."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
import os
import pathlib
import platform
from collections.abc import Callable
from typing import Any

from tl_keras.distribution.backend import require_backend
from tl_keras.distribution.cluster import Cluster, read_cluster
from tl_keras.distribution.precision import dtype_policy
from tl_keras.distribution.tpu_probe import TPU_SECONDS, find_tpu
from tl_keras.errors import ConfigError, DependencyError

# Variables set by Google Cloud, Colab and Kubernetes, and devices made by a TPU's driver: cheap to check, unlike the probe.
_TPU_VARIABLES = ("TPU_NAME", "COLAB_TPU_ADDR", "TPU_ACCELERATOR_TYPE", "TPU_WORKER_HOSTNAMES")
_TPU_DEVICES = "accel*"
_PCI_OF_GOOGLE = "0x1ae0"

# Seconds until JAX gives up a process that hangs; its default of 100 is long. A killed process is noticed at once.
_HEARTBEAT_SECONDS = 20

# Seconds for process 0 to export and write the report while the others wait; JAX's default of 300 is too short for some exports.
_SECONDS_TO_EXPORT = 3600


@dataclasses.dataclass(frozen=True)
class Hardware:
    """What a run computes on, and why.

    Attributes:
      backend: Backend of Keras, `tensorflow` or `jax`.
      strategy: How replicas are synchronised: `one_device`, `mirrored`, `tpu`, `multi_worker` or `data_parallel`.
      device: `cpu`, `gpu` or `tpu`.
      devices: TensorFlow's names of this process's devices, or JAX's names of the devices of all processes.
      description: Name of the processor, graphics card or TPU, as the system reports it.
      replicas: Number of copies of the model that train together, over all processes; each takes an equal part of a batch.
      process: Number of this process, from 0; number 0 writes the run directory.
      processes: Number of processes that train together.
      precision: Keras's dtype policy of the backbone in training; `mixed_bfloat16` keeps weights in float32.
      jit_compile: Whether XLA compiles the training step: `auto` (Keras decides), `on` or `off`.
      steps_per_execution: Number of steps between two returns to Python.
      reason: Reason for this hardware, a clause that follows "because".
    """

    backend: str
    strategy: str
    device: str
    devices: tuple[str, ...]
    description: str
    replicas: int
    reason: str = dataclasses.field(compare=False)
    process: int = 0
    processes: int = 1
    precision: str = "float32"
    jit_compile: str = "auto"
    # Keras's loop over several steps fails with more than one replica (keras issue 19246), and the freeze check and the
    # guard of the loss look at every step.
    steps_per_execution: int = 1

    @property
    def takes_any_length(self) -> bool:
        """Returns whether batches of texts may differ in length at no cost; XLA compiles a step for each."""
        return self.backend == "tensorflow" and self.jit_compile != "on"

    @property
    def remainder(self) -> str:
        """Returns how a batch is handled that the number of replicas does not divide."""
        return (
            "a shorter step"
            if self.replicas == 1
            else "repeated in training, padded in evaluation; each image counts once"
        )

    @property
    def chosen(self) -> dict[str, Any]:
        """Returns `strategy`, `replicas` and `precision` of a config that leaves nothing about the hardware open."""
        strategy = {"multi_worker": "multi_worker", "mirrored": "mirrored", "tpu": "tpu"}.get(
            self.strategy, self.device
        )
        strategy = "jax" if self.backend == "jax" else strategy
        return {
            "strategy": strategy,
            "replicas": self.replicas if strategy in ("mirrored", "jax") else 0,
            "precision": "bfloat16" if "bfloat16" in self.precision else "float32",
        }

    def to_json(self) -> dict[str, Any]:
        """Returns the record as a dictionary of JSON types; the file's key for `backend` is `engine`."""
        values = json.loads(json.dumps(dataclasses.asdict(self)))
        return {"engine": values.pop("backend"), **values, "remainder": self.remainder}

    def require_divisible(self, global_batch_size: int) -> None:
        """Raises a ConfigError unless every replica gets equally many images of a batch."""
        below = global_batch_size // self.replicas * self.replicas
        if below != global_batch_size:
            sizes = " or ".join(str(size) for size in (below, below + self.replicas) if size)
            raise ConfigError(
                f"batch_size: expected a multiple of the {self.replicas} replicas. Received: {global_batch_size}. Use {sizes}."
            )

    def scaling_rule(self, global_batch_size: int, learning_rate: float) -> str:
        """Returns a sentence with the customary scaling for several replicas, empty for one; it is never applied."""
        if self.replicas == 1:
            return ""
        # Adam's learning rate scales with the square root of the batch (Malladi et al. 2022, "On the SDEs and scaling rules
        # for adaptive gradient algorithms"), not with the batch as SGD's does (Goyal et al. 2017).
        rate = learning_rate * math.sqrt(self.replicas)
        return (
            f"batch: {global_batch_size} images over {self.replicas} replicas, {global_batch_size // self.replicas} each. As many "
            f"for each as one had would be --batch_size={global_batch_size * self.replicas}, with Adam's square-root rule "
            f"--learning_rate={rate:.2g}; neither is applied unless you ask."
        )


def resolve_hardware(strategy: str, *, replicas: int = 0, precision: str = "auto") -> Hardware:
    """Chooses the devices, before TensorFlow or JAX has used any.

    `auto` takes the other workers if TF_CONFIG names any, else the TPU if there is a sign of one and it answers, else the
    first GPU, else the CPU. Every other strategy takes the hardware that it names or raises an error.

    Args:
      strategy: One of `tl_keras.config.STRATEGIES`.
      replicas: Number of devices that train together, with `mirrored` and `jax`, over all processes. Without a GPU or TPU
        they are parts of the CPU. 0 means one on the CPU of each process, else every device there is.
      precision: One of `tl_keras.config.PRECISIONS`.

    Raises:
      DependencyError: The hardware, or a package that it needs, is missing.
      ConfigError: The strategy does not allow this number of replicas, or Keras runs on another backend.
    """
    backend = require_backend(strategy)
    if replicas and strategy not in ("mirrored", "jax"):
        raise ConfigError(
            f"replicas: expected --strategy=mirrored or jax, which share a batch among devices. Received: replicas={replicas} "
            f"with --strategy={strategy}. Leave one of them out."
        )
    if strategy in ("cpu", "gpu", "mirrored", "tpu") and read_cluster():
        raise ConfigError(
            f"strategy: TF_CONFIG names several workers, and with {strategy} each would train alone into the same --workdir. "
            f"Received: --strategy={strategy}. Use --strategy=multi_worker, or unset TF_CONFIG."
        )
    resolvers: dict[str, Callable[[], Hardware]] = {
        "auto": lambda: _jax(0, "KERAS_BACKEND is jax") if backend == "jax" else _auto(),
        "cpu": lambda: _cpu("the strategy is cpu"),
        "gpu": _gpu,
        "mirrored": lambda: _mirrored(replicas),
        "tpu": lambda: _tpu("the strategy is tpu"),
        "multi_worker": _multi_worker,
        "jax": lambda: _jax(replicas, "JAX was asked for"),
    }
    hardware = resolvers[strategy]()
    return dataclasses.replace(hardware, precision=dtype_policy(precision, hardware.device))


def tpu_hint() -> str:
    """Returns the sign that this machine has a TPU, or an empty string; checks only the environment and /dev."""
    for name in _TPU_VARIABLES:
        if os.environ.get(name):
            return f"{name} is set"
    for device in pathlib.Path("/dev").glob(_TPU_DEVICES):
        return f"{device} is there"
    # Newer TPUs are passed through by VFIO, as other cards are too; the vendor id tells them apart.
    for vendor in pathlib.Path("/sys/bus/pci/drivers/vfio-pci").glob("*:*/vendor"):
        if vendor.read_text().strip() == _PCI_OF_GOOGLE:
            return f"{vendor.parent.name} is a device of Google's behind /dev/vfio"
    return ""


def _auto() -> Hardware:
    if cluster := read_cluster():
        return _workers(cluster, f"TF_CONFIG names {len(cluster.addresses)} workers")
    hint, failure = tpu_hint(), ""
    if hint:
        try:
            return _tpu(hint)
        except DependencyError as error:
            failure = f"; {hint}, but: {error}"
    return _first_gpu(f"TensorFlow sees a GPU{failure}") or _cpu(f"TensorFlow sees no GPU{failure}")


def _cpu(reason: str) -> Hardware:
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    return Hardware("tensorflow", "one_device", "cpu", ("CPU:0",), processor(), 1, reason)


def _gpu() -> Hardware:
    hardware = _first_gpu("the GPU was asked for")
    if hardware is None:
        raise DependencyError(
            "strategy: expected a GPU that TensorFlow sees. Received: none. Install tl_keras[gpu] on a machine with a GPU "
            "and its driver, or use --strategy=cpu."
        )
    return hardware


def _first_gpu(reason: str) -> Hardware | None:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return None
    tf.config.set_visible_devices(gpus[:1], "GPU")
    return Hardware("tensorflow", "one_device", "gpu", ("GPU:0",), _card(gpus[0]), 1, reason)


def _mirrored(replicas: int) -> Hardware:
    import tensorflow as tf

    # XLA does not compile a step over several replicas of MirroredStrategy.
    fixed: dict[str, Any] = {"backend": "tensorflow", "strategy": "mirrored", "jit_compile": "off"}
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        if replicas > len(gpus):
            raise DependencyError(
                f"replicas: expected at most as many as TensorFlow sees GPUs. Received: {replicas}, of {len(gpus)} GPUs. Use "
                f"--replicas={len(gpus)}."
            )
        chosen = gpus[: replicas or len(gpus)]
        tf.config.set_visible_devices(chosen, "GPU")
        names = tuple(f"GPU:{i}" for i in range(len(chosen)))
        reason = f"{len(names)} GPUs were asked for" if replicas else "every GPU that TensorFlow sees was asked for"
        return Hardware(
            device="gpu", devices=names, description=_card(gpus[0]), replicas=len(names), reason=reason, **fixed
        )
    if not replicas:
        raise DependencyError(
            "strategy: mirrored expected GPUs that TensorFlow sees. Received: none. Use --strategy=cpu, or --replicas=4 to share "
            "the CPU among four replicas, which tests such a run and is no faster."
        )
    _part_cpu(replicas)
    names = tuple(f"CPU:{i}" for i in range(replicas))
    reason = f"{replicas} replicas were asked for and TensorFlow sees no GPU: each is a part of the CPU"
    return Hardware(device="cpu", devices=names, description=processor(), replicas=replicas, reason=reason, **fixed)


def _multi_worker() -> Hardware:
    cluster = read_cluster()
    if cluster is None:
        raise ConfigError(
            "strategy: multi_worker expected TF_CONFIG to name several workers. Received: "
            f"{os.environ.get('TF_CONFIG') or 'none'}. Set it for each of them (docs/hardware.md), or use another --strategy."
        )
    return _workers(cluster, f"{len(cluster.addresses)} workers were asked for")


def _workers(cluster: Cluster, reason: str) -> Hardware:
    """Takes every GPU of this process and assumes as many in each other process; without a GPU, the CPU."""
    import tensorflow as tf

    gpus, processes = tf.config.list_physical_devices("GPU"), len(cluster.addresses)
    device, local = ("gpu", len(gpus)) if gpus else ("cpu", 1)
    return Hardware(
        "tensorflow",
        "multi_worker",
        device,
        tuple(f"{device.upper()}:{i}" for i in range(local)),
        _card(gpus[0]) if gpus else processor(),
        local * processes,
        f"{reason}, and this is number {cluster.process}",
        process=cluster.process,
        processes=processes,
        jit_compile="off",  # as for several replicas of MirroredStrategy
    )


def _part_cpu(replicas: int) -> None:
    """Splits the CPU into logical devices."""
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    parts = tf.config.get_logical_device_configuration(cpu)
    if parts is None or len(parts) != replicas:
        try:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
        except RuntimeError as error:
            raise _in_use("TensorFlow", replicas) from error


def _in_use(framework: str, replicas: int) -> ConfigError:
    return ConfigError(
        f"replicas: expected a process in which {framework} has computed nothing yet. Received: replicas={replicas} in one in "
        "which it has. Start a new process."
    )


def _tpu(reason: str) -> Hardware:
    system = find_tpu(seconds=TPU_SECONDS)
    names = tuple(f"TPU:{i}" for i in range(system.cores))
    return Hardware(
        "tensorflow",
        "tpu",
        "tpu",
        names,
        system.description,
        system.cores,
        reason,
        jit_compile="on",
    )


def _jax(replicas: int, reason: str) -> Hardware:
    import jax
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")  # TensorFlow only feeds and exports here, and would take the memory
    cluster = read_cluster() or Cluster(("this process",), 0)
    processes = len(cluster.addresses)
    if replicas % processes:
        raise ConfigError(
            f"replicas: expected a multiple of the {processes} workers of TF_CONFIG. Received: {replicas}. Use {processes}."
        )
    try:
        if not (tpu_hint() or _has_cuda_plugin()):
            jax.config.update(
                "jax_platforms", "cpu"
            )  # where libtpu is installed for tpu_check, JAX would look for a TPU
            jax.config.update("jax_num_cpu_devices", replicas // processes or 1)
        if processes > 1 and not jax.distributed.is_initialized():
            jax.config.update("jax_cpu_collectives_implementation", "gloo")
            jax.distributed.initialize(
                cluster.addresses[0],
                processes,
                cluster.process,
                heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
                shutdown_timeout_seconds=_SECONDS_TO_EXPORT,
            )
    except RuntimeError as error:
        raise _in_use("JAX", replicas) from error
    found = jax.devices()
    if replicas > len(found):
        raise DependencyError(
            f"replicas: expected at most as many as JAX sees devices. Received: {replicas}, of {len(found)}. Use "
            f"--replicas={len(found)}."
        )
    chosen = found[: replicas or len(found)]
    device = {"cuda": "gpu"}.get(chosen[0].platform, chosen[0].platform)
    return Hardware(
        "jax",
        "data_parallel" if len(chosen) > 1 else "one_device",
        device,
        tuple(f"{device}:{each.id}" for each in chosen),
        processor() if device == "cpu" else chosen[0].device_kind,
        len(chosen),
        f"{reason}, and it sees {len(found)} of {device}"
        + (f" in {processes} processes, of which this is number {cluster.process}" if processes > 1 else ""),
        process=cluster.process,
        processes=processes,
    )


def _has_cuda_plugin() -> bool:
    return any(importlib.util.find_spec(f"jax_cuda{version}_plugin") for version in (12, 13))


def _card(gpu: Any) -> str:
    import tensorflow as tf

    return tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)


def processor() -> str:
    """Returns the number of processors and their name, as the system gives it."""
    try:
        with pathlib.Path("/proc/cpuinfo").open() as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{os.cpu_count()} x {name}"
