"""Opens a finished run for a program: `Run`."""

from __future__ import annotations

import dataclasses
import functools
import html
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from tl_keras.config import TransferConfig, export_formats, from_json
from tl_keras.console import in_words, number_of, say
from tl_keras.data.splits import hash_starts
from tl_keras.errors import ConfigError, DataError
from tl_keras.experiments.measure import evaluate_model
from tl_keras.pieces.labelled_data import LabelledData, as_data
from tl_keras.pieces.options import options_of_views
from tl_keras.reporting.run_report import write_report
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.records import RunResult
from tl_keras.serving.answering_models import KerasPredictor
from tl_keras.serving.export import export_run
from tl_keras.serving.model_file import TrainedModel, load_model
from tl_keras.serving.predictor import embed_images, predict_images
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.own_parts import OwnParts
from tl_keras.training.preparation import RunImages


class Run:
    """A finished run: its result, its model, and what can be made of them.

    Example:
      ```python
      import tl_keras as tl

      run = tl.Run("run1")
      print(run.result)
      print(run.predict("photo.jpg")[0]["label"], run.embed("photo.jpg").shape)
      assert run.model.output_shape == (None, 2)
      page = run.report()
      more = run.resume(epochs=1, data="photos/", workdir="run1_more")
      ```

    Args:
      workdir: Directory of the run.
      data: Images of the run, as `tl_keras.load_data` returns them; needed where they are in memory.

    Attributes:
      workdir: The same directory.

    Raises:
      WorkdirError: It holds no finished run.
    """

    def __init__(self, workdir: str | os.PathLike[str], *, data: LabelledData | None = None):
        self.workdir = pathlib.Path(workdir)
        self._directory = RunDirectory(workdir)
        self._directory.require_result()
        self._data = data

    @property
    def result(self) -> RunResult:
        """Returns the contents of `result.json`."""
        return self._directory.require_result()

    @property
    def model(self) -> keras.Model:
        """Returns the student: from pixels, float32 (batch, image_size, image_size, 3), 0 to 255, to logits (batch, outputs)."""
        return self._trained.model

    @property
    def class_names(self) -> tuple[str, ...]:
        """Returns the names of the classes, in the order of the logits."""
        return self._trained.class_names

    def predict(self, images: Any, *, top_k: int = 1, batch_size: int = 32) -> list[dict[str, Any]]:
        """Returns a row for each image, or text, as `tl_keras.predict_images` does; the model is loaded once.

        Args:
          images: Paths, bytes, Pillow images or arrays; one or several.
          top_k: Number of labels for each image, at least 1.
          batch_size: Number of images at a time.

        Raises:
          DataError: A path does not exist, an item is not an image, or there are no images.
        """
        return predict_images(self._predictor, images, top_k=top_k, batch_size=batch_size)

    def embed(self, images: Any, *, batch_size: int = 32) -> np.ndarray:
        """Returns the pooled features of images, float32 (n, feature_dim), in order, for search and clustering.

        Args:
          images: Images as `predict` takes them.
          batch_size: Number of images at a time.

        Raises:
          DataError: An image cannot be read.
        """
        return embed_images(self._predictor, images, batch_size=batch_size)

    def evaluate(self, data: Any) -> dict[str, Any]:
        """Returns the measures of the model on other labelled images, as `tl_keras.evaluate_model` does.

        Args:
          data: Images as `tl_keras.load_data` takes or returns them.
        """
        return evaluate_model(self.workdir, data.images.source if isinstance(data, LabelledData) else data)

    def report(self) -> pathlib.Path:
        """Writes the page of the run, and returns its path."""
        return write_report(self.workdir, source=self._data.source if self._data else None)

    def export(self, *formats: str) -> list[pathlib.Path]:
        """Exports the model, proven to agree with training, and returns the path of each format.

        Args:
          formats: Names such as `saved_model`, `litert`, `litert_int8`, `onnx`; the first alone if none is given.

        Raises:
          ConfigError: There is no such format.
          ExportError: An exported model does not agree; nothing of it remains.
        """
        chosen = export_formats(",".join(formats) or "saved_model")
        rows = export_run(self._directory, chosen, source=self._data.source if self._data else None)
        return [self.workdir / row["path"] for row in rows]

    def resume(
        self,
        epochs: int,
        *,
        data: Any = None,
        workdir: str | os.PathLike[str] = "",
        callbacks: Iterable[keras.callbacks.Callback] = (),
    ) -> Run:
        """Trains on from this run's weights: for more epochs, on more images, with a new class; the head keeps what it knows.

        Images that this run was trained on are for training again, so that what is measured was never seen.

        Args:
          epochs: Passes over the training images in the last phase, at least 1.
          data: Images to train on, as `tl_keras.load_data` takes or returns them; None for those of this run.
          workdir: Directory of the new run; empty for `NAME_resumed` beside this one.
          callbacks: Callbacks of the new run.

        Returns:
          The new run. This one stays as it is.

        Raises:
          DataError: The images of this run were in memory and are not given.
          ConfigError: This run augmented by a function of the program, or `epochs` is below 1.
        """
        if epochs < 1:
            raise ConfigError(f"epochs: expected at least 1 more. Received: {epochs}. Use run.resume(epochs=1).")
        config = self._config()
        data = self._data_again(config) if data is None else as_data(data)
        images = self._still_unseen(data.images)
        config.data = dataclasses.replace(data.config.data, **options_of_views(config))
        config.task, config.seed = data.config.task, data.config.seed
        config.model.start_from = str(self._directory.model.resolve())
        config.training.epochs, config.export = epochs, "none"
        if config.model.method == "fine_tune" and set(images.source.class_names) <= set(self.class_names):
            config.training.head_epochs = 1  # the head is trained
        workdir = workdir or unused_directory(f"{self.workdir}_resumed")
        train_and_evaluate(
            config,
            workdir,
            source=data.source,
            models=data.models,
            images=images,
            own_parts=OwnParts(callbacks=tuple(callbacks)),
        )
        return Run(workdir, data=data)

    def _still_unseen(self, images: RunImages) -> RunImages:
        """Returns images in which those that this run was trained on are for training, whatever the split dealt them."""
        seen = (self._directory.read_splits() or {}).get("train_sha256", [])
        splits, everything = images.splits, np.arange(len(images.source))
        known = everything[np.isin(hash_starts(images.inspection, everything), seen)]
        moved = np.intersect1d(known, np.concatenate([splits.validation, splits.test]))
        if not len(moved):
            return images
        say(
            f"data: {number_of(len(moved), 'image')} of the earlier run's training, dealt to other splits, for training again"
        )
        validation, test = np.setdiff1d(splits.validation, moved), np.setdiff1d(splits.test, moved)
        if not len(validation):
            raise DataError(
                f"{images.source.name}: expected images for validation that the earlier run was not trained on. Received: none. "
                "Add images, or use the seed of the earlier run."
            )
        train = np.union1d(splits.train, moved)
        splits = dataclasses.replace(splits, train=train, validation=validation, test=test)
        return RunImages(images.source, images.inspection, splits)

    def _data_again(self, config: TransferConfig) -> LabelledData:
        """Returns this run's own images."""
        if self._data is not None:
            return self._data
        wanted = TransferConfig(data=config.data, task=config.task, seed=config.seed)
        return LabelledData(wanted, None)

    def _config(self) -> TransferConfig:
        begun = self._directory.read_config() or {}
        return from_json(begun["config"])

    @functools.cached_property
    def _trained(self) -> TrainedModel:
        return load_model(self._directory.model)

    @functools.cached_property
    def _predictor(self) -> KerasPredictor:
        return KerasPredictor(self._trained)

    def __repr__(self) -> str:
        return f"<Run {self.workdir}: {self.result!r}>"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{what}</th><td>{html.escape(value)}</td></tr>" for what, value in self._facts())
        return f"<table><caption>{html.escape(str(self.workdir))}</caption>{rows}</table>"

    def _facts(self) -> Sequence[tuple[str, str]]:
        """Returns what a person wants to know first, in pairs of name and value."""
        result = self.result
        low, high = result.interval or (float("nan"), float("nan"))
        facts = [
            (f"{in_words(result.score_name)} on {result.split}", f"{result.score:.3f} ({low:.3f} to {high:.3f})"),
            ("one answer for all", "" if result.baseline_score is None else f"{result.baseline_score:.3f}"),
            ("method", f"{result.method} of {result.backbone}, epoch {result.kept_epoch} kept"),
            ("images", ", ".join(f"{count} {split}" for split, count in result.images.items())),
            ("model", str(self._directory.model)),
        ]
        return [(what, value) for what, value in facts if value]


def unused_directory(name: str) -> str:
    """Returns a name for a directory that does not exist yet: the name itself, or with the first free number from 2 after it."""
    number, free = 1, name
    while os.path.lexists(free):
        number += 1
        free = f"{name}_{number}"
    return free
