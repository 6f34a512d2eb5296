"""Opens a finished run again: `load_run`."""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from tl_keras.config import DistillationConfig, from_json
from tl_keras.data.pipeline import evaluation_order
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.errors import WorkdirError
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.model_file import read_task
from tl_keras.serving.student_statistics import PredictFn, predict_logits
from tl_keras.tasks.base import Task
from tl_keras.training.inputs import open_inputs
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import PreparedRun, prepare


@dataclasses.dataclass(frozen=True)
class LoadedRun:
    """A finished run, opened again.

    Attributes:
      prepared: The run as it was decided; its student has the weights that the run kept.
      predict: Function that predicts images with the weights that the student has when it is called.
      answering: Task as the model answers by it, with what the predictions of the run have decided.
    """

    prepared: PreparedRun
    predict: PredictFn
    answering: Task

    def score(self, indices: np.ndarray, *, task: Task) -> float:
        """Returns the score of the student on some images.

        Args:
          indices: Images of the source, int64 (k,).
          task: Task that scores: `prepared.task` as epochs are scored, or `answering` as test images are.
        """
        source = self.prepared.source
        logits = predict_logits(self.predict, source, indices)
        return task.score(logits, source.labels[evaluation_order(source, indices)])


@with_own_keras_settings
def load_run(workdir: str | os.PathLike[str], models: ModelCache) -> LoadedRun:
    """Opens a finished run again; activations of its frozen layers come from the cache.

    Args:
      workdir: The run directory.
      models: Cache that the run was trained with, if that was in this process, so that nothing is built twice.

    Raises:
      DataError: The images can no longer be read.
      WorkdirError: There is no finished run, or its images have changed.
    """
    run = RunDirectory(workdir)
    begun = run.read_config()
    if begun is None:
        raise WorkdirError(f"workdir: expected a run directory. Received: {run.path}, without config.json.")
    config = from_json(begun["config"])
    if config.data.augmentation == "own":  # what is measured now is plain
        config.data.augmentation = "none"
    config.distillation = DistillationConfig()  # what was learnt is in the weights
    prepared = prepare(config, models, run=run)
    inputs = open_inputs(prepared, hold_decoded=False)
    models.load_weights(prepared.student, run.model, [phase.plan for phase in prepared.phases])
    return LoadedRun(prepared, inputs[-1].predict_fn(), read_task(run.model))
