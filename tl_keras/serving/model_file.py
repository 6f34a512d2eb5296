"""Writes and reads `model.keras`, a Keras file that also carries preprocessing, class names and the student's statistics.

Plain Keras loads it; tl_keras adds two entries to the archive, `tl_keras.json` and `tl_keras.npz`.
"""

from __future__ import annotations

import dataclasses
import io
import json
import pathlib
import zipfile
from typing import Any

import keras

from tl_keras.backbones.keras_file import load_keras_file
from tl_keras.backbones.preprocessing import Preprocess, PreprocessSpec
from tl_keras.backbones.specs import BackboneSpec
from tl_keras.backbones.teacher_files import ENTRY
from tl_keras.builder import Student
from tl_keras.config import ANSWERED_VIEWS
from tl_keras.errors import BackboneError, ConfigError
from tl_keras.files import replacing
from tl_keras.lora import as_ordinary
from tl_keras.serving.student_statistics import StudentStatistics, with_features
from tl_keras.serving.view_averaging import averaged_over_views
from tl_keras.tasks.base import Task, task_of
from tl_keras.untrusted import check_npz, read_entry, read_json_entry

_STATISTICS = "tl_keras.npz"
# 32 components of 4,096 features, and 1,000 images along them, take 0.7 MB.
_MOST_STATISTICS_BYTES = 64 * 2**20


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A student read from a file.

    Attributes:
      model: Model from float32 (batch, image_size, image_size, 3), RGB, 0 to 255, or from token ids, int32 (batch, max_tokens),
        to float32 (batch, classes) logits.
      preprocess: Preprocessing from an image to the model's input.
      class_names: Names in the order of the logits.
      statistics: Temperature of the student, and statistics of its training images.
      task: Task that it was trained for.
      views: Views of an image over which it averages its answers; see `answering`.
    """

    model: keras.Model
    preprocess: Preprocess
    class_names: tuple[str, ...]
    statistics: StudentStatistics
    task: Task
    views: str = "none"

    def with_views(self, views: str) -> TrainedModel:
        """Returns the student, answering by the mean over views of each image.

        Args:
          views: See `tl_keras.serving.view_averaging`.

        Raises:
          ConfigError: It is a student of texts, or the views are none of those.
        """
        if views not in ANSWERED_VIEWS:
            raise ConfigError(
                f"test_time_augmentation: expected one of {', '.join(ANSWERED_VIEWS)}. Received: {views}."
            )
        if views != "none" and not self.preprocess.image_size:
            raise ConfigError(
                f"test_time_augmentation: expected a model of images. Received: {views}, and a model of texts. Leave it out."
            )
        return dataclasses.replace(self, views=views)

    def answering(self) -> keras.Model:
        """Returns the model that answers: pooled features, float32 (n, d), and logits, float32 (n, classes), over its views."""
        return averaged_over_views(with_features(self.model), self.views)


def save_model(
    student: Student,
    path: pathlib.Path,
    *,
    class_names: tuple[str, ...],
    statistics: StudentStatistics,
    task: Task,
) -> None:
    """Writes the student and its facts to one `.keras` file, completely or not at all.

    Raises:
      WorkdirError: The disk is full, or the place is not writable.
    """
    facts: dict[str, Any] = {"preprocess": student.preprocess.to_json(), "class_names": class_names, "task": task.name}
    if known := task.facts():
        facts["task_facts"] = known
    teacher = student.teacher
    if isinstance(teacher.spec, BackboneSpec) and not teacher.output_stride:
        # The file can then be the next teacher, at any image size; part of a network is one at its own.
        facts |= {"backbone": teacher.spec.name, "alpha": teacher.alpha}
    with replacing(path) as temporary:
        with as_ordinary(student.model):
            student.model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(ENTRY, json.dumps(facts))
            archive.writestr(_STATISTICS, statistics.to_bytes())


def load_model(path: pathlib.Path) -> TrainedModel:
    """Reads a file that `save_model` wrote.

    Raises:
      BackboneError: There is no such file, it is damaged, or tl_keras did not write it.
    """
    if not path.is_file():
        raise BackboneError(f"model: expected a .keras file. Received: {path}, which does not exist.")
    try:
        with zipfile.ZipFile(path) as archive:
            facts = read_json_entry(archive, ENTRY)
            packed = read_entry(archive, _STATISTICS, at_most=_MOST_STATISTICS_BYTES)
        check_npz(io.BytesIO(packed))
        statistics = StudentStatistics.from_bytes(packed)
        names = tuple(facts["class_names"])
        task = task_of(facts)
    except KeyError as error:
        raise BackboneError(
            f"model: expected a .keras file written by this version of tl_keras. Received: {path}."
        ) from error
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise BackboneError(f"model: expected a .keras file that can be read. Received: {path} ({error}).") from error
    return TrainedModel(load_keras_file(path), read_preprocess(facts["preprocess"]), names, statistics, task)


def read_task(path: pathlib.Path) -> Task:
    """Returns the task of a file that `save_model` wrote, with what predictions have decided, such as thresholds."""
    with zipfile.ZipFile(path) as archive:
        return task_of(read_json_entry(archive, ENTRY))


def read_preprocess(values: dict[str, Any]) -> Preprocess:
    """Returns the preprocessing of images, or of texts, which have a tokenizer."""
    if not isinstance(values, dict) or "tokenizer" not in values:
        return PreprocessSpec.from_json(values)
    from tl_keras.text.tokenizing import TextPreprocess

    return TextPreprocess.from_json(values)
