"""Provides transfer learning with Keras, from images to a served model.

In ten lines:

```python
import tl_keras

config = tl_keras.TransferConfig()
config.data.source = "photos/"
config.model.method = "feature_extraction"
result = tl_keras.train_and_evaluate(config, "run1")
print(result.validation_accuracy)
for row in tl_keras.predict_images("run1", ["a.jpg", "b.png"]):
    print(row["file"], row["label"], row["score"])
```

Importing the package imports no TensorFlow; the first use of a name that needs it does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tl_keras.config import DataConfig, ModelConfig, TrainingConfig, TransferConfig, quick_start
from tl_keras.errors import TransferError, nearest
from tl_keras.runs.records import RunResult

if TYPE_CHECKING:
    from tl_keras.backbones.preprocessing import PreprocessSpec
    from tl_keras.backbones.specs import BackboneSpec, BlockSpec, WeightsSpec, register_backbone
    from tl_keras.data.arrays import ArraySource
    from tl_keras.data.base import RandomAccessSource
    from tl_keras.experiments.measure import evaluate_model
    from tl_keras.pieces.cached_features import Features, features
    from tl_keras.pieces.estimator import TransferClassifier
    from tl_keras.pieces.labelled_data import LabelledData, load_data
    from tl_keras.pieces.methods import feature_extraction, fine_tune, replicate
    from tl_keras.pieces.run import Run
    from tl_keras.pieces.students import Freezing, build, freeze, preprocess
    from tl_keras.reporting.run_report import write_report
    from tl_keras.serving.predictor import predict_images
    from tl_keras.tasks.base import Task, register_task
    from tl_keras.tasks.multi_label import MultiLabel
    from tl_keras.tasks.ordinal import Ordinal
    from tl_keras.tasks.regression import Regression
    from tl_keras.tasks.single_label import SingleLabel
    from tl_keras.training.loop import train_and_evaluate
    from tl_keras.weaknesses.measurement import audit_run

__all__ = [
    "ArraySource",
    "BackboneSpec",
    "BlockSpec",
    "DataConfig",
    "Features",
    "Freezing",
    "LabelledData",
    "ModelConfig",
    "MultiLabel",
    "Ordinal",
    "PreprocessSpec",
    "RandomAccessSource",
    "Regression",
    "Run",
    "RunResult",
    "SingleLabel",
    "Task",
    "TrainingConfig",
    "TransferClassifier",
    "TransferConfig",
    "TransferError",
    "WeightsSpec",
    "audit_run",
    "build",
    "evaluate_model",
    "feature_extraction",
    "features",
    "fine_tune",
    "freeze",
    "load_data",
    "predict_images",
    "preprocess",
    "quick_start",
    "register_backbone",
    "register_task",
    "replicate",
    "train_and_evaluate",
    "write_report",
]

_NEEDS_TENSORFLOW = {
    "ArraySource": "tl_keras.data.arrays",
    "BackboneSpec": "tl_keras.backbones.specs",
    "BlockSpec": "tl_keras.backbones.specs",
    "Features": "tl_keras.pieces.cached_features",
    "Freezing": "tl_keras.pieces.students",
    "LabelledData": "tl_keras.pieces.labelled_data",
    "MultiLabel": "tl_keras.tasks.multi_label",
    "Ordinal": "tl_keras.tasks.ordinal",
    "PreprocessSpec": "tl_keras.backbones.preprocessing",
    "RandomAccessSource": "tl_keras.data.base",
    "Regression": "tl_keras.tasks.regression",
    "Run": "tl_keras.pieces.run",
    "SingleLabel": "tl_keras.tasks.single_label",
    "Task": "tl_keras.tasks.base",
    "TransferClassifier": "tl_keras.pieces.estimator",
    "WeightsSpec": "tl_keras.backbones.specs",
    "audit_run": "tl_keras.weaknesses.measurement",
    "build": "tl_keras.pieces.students",
    "evaluate_model": "tl_keras.experiments.measure",
    "feature_extraction": "tl_keras.pieces.methods",
    "features": "tl_keras.pieces.cached_features",
    "fine_tune": "tl_keras.pieces.methods",
    "freeze": "tl_keras.pieces.students",
    "load_data": "tl_keras.pieces.labelled_data",
    "predict_images": "tl_keras.serving.predictor",
    "preprocess": "tl_keras.pieces.students",
    "register_backbone": "tl_keras.backbones.specs",
    "register_task": "tl_keras.tasks.base",
    "replicate": "tl_keras.pieces.methods",
    "train_and_evaluate": "tl_keras.training.loop",
    "write_report": "tl_keras.reporting.run_report",
}


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_TENSORFLOW:
        raise AttributeError(f"module 'tl_keras' has no attribute '{name}'. {nearest(name, __all__)}".strip())
    from tl_keras.command_line import require_tensorflow

    require_tensorflow(whole_keras=True)
    return getattr(importlib.import_module(_NEEDS_TENSORFLOW[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
