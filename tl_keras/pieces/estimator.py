"""Offers transfer learning as a classifier of scikit-learn: `TransferClassifier`."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from tl_keras.config import METHODS, ModelConfig
from tl_keras.data.arrays import ArraySource
from tl_keras.errors import ConfigError, DataError, nearest
from tl_keras.pieces import methods
from tl_keras.pieces.labelled_data import load_data


class TransferClassifier(ClassifierMixin, BaseEstimator):
    """Classifies images, as scikit-learn's classifiers do rows of numbers: for its cross-validation, metrics and searches.

    Each `fit` is a run; its directory is removed with the classifier, unless `workdir` names one.

    Example:
      ```python
      import numpy as np

      import tl_keras as tl

      pixels = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
      labels = np.array(["dark", "light"] * 30)
      pixels[labels == "dark"] //= 3
      classifier = tl.TransferClassifier(backbone="teacher.keras", epochs=20)
      classifier.fit(pixels, labels)
      print(classifier.predict(pixels[:2]), classifier.predict_proba(pixels[:2]).shape, classifier.score(pixels, labels))
      ```

    Args:
      backbone: Pre-trained backbone: a name that `python -m tl_keras.backbones` lists, or a `.keras` file.
      method: `feature_extraction`, `fine_tune` or `replicate`.
      epochs: Passes over the images; 0: by their number.
      validation: Part of the images given to `fit` by which the epoch is chosen, above 0 and below 1.
      seed: Seed of the run.
      workdir: Directory of the run, which must not hold one; empty for a temporary one.
      options: Other options by name, as `tl_keras.fine_tune` takes them; None for none.

    Attributes:
      classes_: Classes, sorted, as scikit-learn has them.
      run_: The finished run, a `tl_keras.Run`.
    """

    def __init__(
        self,
        *,
        backbone: str = ModelConfig.backbone,
        method: str = "feature_extraction",
        epochs: int = 0,
        validation: float = 0.15,
        seed: int = 0,
        workdir: str = "",
        options: dict[str, Any] | None = None,
    ):
        self.backbone = backbone
        self.method = method
        self.epochs = epochs
        self.validation = validation
        self.seed = seed
        self.workdir = workdir
        self.options = options

    def fit(self, X: Any, y: Any) -> TransferClassifier:  # noqa: N803  # scikit-learn's names
        """Trains on images; returns itself.

        Args:
          X: uint8 (n, height, width, channels), RGB or grey, 0 to 255.
          y: Label of each image, (n,), of any type that sorts.

        Raises:
          ConfigError: There is no such method, or option.
          DataError: The images are no such array, or have too few of a class.
        """
        if self.method not in METHODS:
            raise ConfigError(
                f"method: expected one of {', '.join(METHODS)}. Received: {self.method}. {nearest(self.method, METHODS)}".strip()
            )
        images, labels = np.asarray(X), np.asarray(y)
        if images.ndim != 4 or len(images) != len(labels):
            raise DataError(
                f"X: expected images, (n, height, width, channels), with n labels. Received: shape {images.shape} with "
                f"{len(labels)} labels. Give arrays; for files use tl_keras.fine_tune."
            )
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        names = tuple(str(label) for label in self.classes_)
        data = load_data(
            ArraySource(images, numbers, class_names=names), validation=self.validation, test=0.0, seed=self.seed
        )
        train = getattr(methods, self.method)
        self.run_ = train(
            data,
            self.workdir or self._temporary_workdir(),
            backbone=self.backbone,
            epochs=self.epochs,
            **(self.options or {}),
        )
        return self

    def _temporary_workdir(self) -> str:
        """Returns the name of a directory that is removed together with this object."""
        folder = tempfile.mkdtemp(prefix="tl_keras_fit_")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return f"{folder}/run"

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns calibrated probabilities, float64 (n, classes), in the order of `classes_`.

        Args:
          X: Images as `fit` takes them; or paths and other images, as `tl_keras.predict_images` does.

        Raises:
          DataError: One is not an image.
        """
        check_is_fitted(self, "run_")
        position = {name: number for number, name in enumerate(map(str, self.classes_))}
        rows = self.run_.predict(X, top_k=len(self.classes_))
        probabilities = np.zeros((len(rows), len(self.classes_)))
        for row, of_image in zip(rows, probabilities, strict=True):
            if "error" in row:
                raise DataError(f"X: expected images. Received: {row['file']}, {row['error']}. Leave it out.")
            for answer in row["top_k"]:
                of_image[position[answer["label"]]] = answer["score"]
        return probabilities

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns the most probable class of each image, (n,), as `predict_proba` takes them."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]
