"""Defines `TransferConfig` from its parts, and the options that belong to none of them.

An option whose description has a `zero` may be left open. `resolve` and the run fill it in, so that `config.json` in the run
directory holds every value that was used.
"""

# The types of the fields are looked at when a program runs, so they are no texts: no `from __future__ import annotations`.
import dataclasses

from tl_keras.config.cache_fields import CacheConfig
from tl_keras.config.choices import EXPORTS, Precision, Strategy, require_task_name
from tl_keras.config.data_fields import DataConfig
from tl_keras.config.decision_fields import DecisionConfig
from tl_keras.config.distillation_fields import DistillationConfig
from tl_keras.config.model_fields import ModelConfig
from tl_keras.config.options import Interval, above, option
from tl_keras.config.parsing import export_formats
from tl_keras.config.training_fields import TrainingConfig
from tl_keras.locked import Locked


@dataclasses.dataclass
class TransferConfig(Locked):
    """Everything that decides a run, apart from where it is written.

    Example:
      ```python
      import tl_keras

      config = tl_keras.TransferConfig(export="none", seed=1)
      config.data.source = "photos/"
      try:
          config.training.epoch = 10
      except tl_keras.TransferError as error:
          print(error)  # TrainingConfig: expected one of its fields. Received: epoch. Did you mean epochs?
      ```
    """

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    cache: CacheConfig = dataclasses.field(default_factory=CacheConfig)
    decision: DecisionConfig = dataclasses.field(default_factory=DecisionConfig)
    distillation: DistillationConfig = dataclasses.field(default_factory=DistillationConfig)
    task: str = option(
        "auto",
        "What is learnt: auto stops where labels look like several or numbers; single_label takes them as they are.",
        flag="task",
        parse=require_task_name,
    )
    strategy: Strategy = option(
        "auto",
        "The hardware: mirrored is several GPUs, multi_worker the machines of TF_CONFIG, jax any, on JAX.",
        flag="strategy",
    )
    replicas: int = option(
        0,
        "Devices that train together, with mirrored and jax, over all processes; without a GPU or TPU, parts of the CPU.",
        flag="replicas",
        zero="every device",
        within=Interval(1, 4096),
    )
    precision: Precision = option(
        "auto", "Precision of the backbone while it trains; auto is bfloat16 on a TPU, else float32.", flag="precision"
    )
    seed: int = option(
        0,
        "The seed of splits, initial weights, order and augmentation.",
        flag="seed",
        within=Interval(0, 2**31 - 1),
    )
    price_per_hour: float = option(
        0.0,
        "Price of the machine, in any currency, for time_to_accuracy in result.json.",
        zero="unknown",
        within=above(0),
    )
    export: str = option(
        "saved_model",
        f"Formats of the exported model, comma-separated: {', '.join(EXPORTS)}; or none.",
        flag="export",
        parse=export_formats,
    )
