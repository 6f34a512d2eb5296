"""Collects the config of a run: `TransferConfig` and its parts, typed and validated, to JSON and back.

`docs/options.md` lists the options with their defaults and ranges. Nothing here imports TensorFlow.
"""

from tl_keras.config.cache_fields import CacheConfig
from tl_keras.config.checks import check_options, validate
from tl_keras.config.choices import (
    ANSWERED_VIEWS,
    EXPECTED_SOURCE,
    EXPORTS,
    METHODS,
    ExportFormat,
    InferenceEngine,
    Method,
    Precision,
    ResizeRule,
    Strategy,
)
from tl_keras.config.cuts import choose_cut, method_of_cut
from tl_keras.config.data_fields import DataConfig
from tl_keras.config.decision_fields import DecisionConfig
from tl_keras.config.defaults import (
    CAUTIOUS_CUT,
    CAUTIOUS_FINE_TUNE_FACTOR,
    DEFAULT_CUT,
    DEFAULT_MAX_PIXELS,
    DEFAULT_RESIZE,
    DEFAULT_SIGNIFICANT_BITS,
    FEWEST_STEPS,
)
from tl_keras.config.distillation_fields import DistillationConfig
from tl_keras.config.fields import TransferConfig
from tl_keras.config.model_fields import ModelConfig
from tl_keras.config.options import Option, options_of, set_value, value_of
from tl_keras.config.parsing import (
    export_formats,
    parse_budget,
    parse_columns,
    parse_layers,
    parse_optimizer,
    parse_schedule,
    parse_splits,
)
from tl_keras.config.quick_start_config import quick_start
from tl_keras.config.resolving import epochs_for, resolve, with_epochs
from tl_keras.config.serialization import differences, flatten, from_json, to_json, train_command
from tl_keras.config.training_fields import TrainingConfig
from tl_keras.config.unused import unused_options

__all__ = [
    "ANSWERED_VIEWS",
    "CAUTIOUS_CUT",
    "CAUTIOUS_FINE_TUNE_FACTOR",
    "DEFAULT_CUT",
    "DEFAULT_MAX_PIXELS",
    "DEFAULT_RESIZE",
    "DEFAULT_SIGNIFICANT_BITS",
    "EXPECTED_SOURCE",
    "EXPORTS",
    "FEWEST_STEPS",
    "METHODS",
    "CacheConfig",
    "DataConfig",
    "DecisionConfig",
    "DistillationConfig",
    "ExportFormat",
    "InferenceEngine",
    "Method",
    "ModelConfig",
    "Option",
    "Precision",
    "ResizeRule",
    "Strategy",
    "TrainingConfig",
    "TransferConfig",
    "check_options",
    "choose_cut",
    "differences",
    "epochs_for",
    "export_formats",
    "flatten",
    "from_json",
    "method_of_cut",
    "options_of",
    "parse_budget",
    "parse_columns",
    "parse_layers",
    "parse_optimizer",
    "parse_schedule",
    "parse_splits",
    "quick_start",
    "resolve",
    "set_value",
    "to_json",
    "train_command",
    "unused_options",
    "validate",
    "value_of",
    "with_epochs",
]
