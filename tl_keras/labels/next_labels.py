"""Plans which images to label next, and says what to expect of it."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from tl_keras.config import TransferConfig
from tl_keras.console import number_of
from tl_keras.experiments.measure import open_run
from tl_keras.labels.gathered import Gathered, gather_for_backbone, gather_for_run
from tl_keras.labels.herding import choose_images, margin_uncertainty
from tl_keras.labels.learning_curve import FEWEST, Forecast, forecast
from tl_keras.probes.transferability import along_components
from tl_keras.probes.vectors import directions
from tl_keras.runs.directory import RunDirectory
from tl_keras.training.embedding import embed, embedder_of_backbone

# Number of unlabelled images, drawn at random, over which an accuracy is forecast.
_AT_LARGE = 2_000

# Number of outliers that are shown.
_OUTLIERS = 20


@dataclasses.dataclass(frozen=True)
class ClassCount:
    """The images of a class.

    Attributes:
      name: Name of the class.
      labelled: Number of its labelled images.
      chosen: Number of chosen images that the run takes for the class.
    """

    name: str
    labelled: int
    chosen: int


@dataclasses.dataclass(frozen=True)
class LabelPlan:
    """The images to label next.

    Attributes:
      gathered: Images that they were chosen from.
      chosen: Positions among the unlabelled images, in the order of their worth, int64 (k,).
      outliers: Positions of the farthest outliers, which are not chosen from, int64 (j,).
      probabilities: The run's calibrated probabilities for the unlabelled images, float32 (n, classes); None without a run.
      forecast: Forecast of the accuracy; None if there is no run, or too little to say.
      forecast_on: Words for what the forecast is of, or why there is none.
      classes: Classes with their numbers of images; none without a run.
    """

    gathered: Gathered
    chosen: np.ndarray
    outliers: np.ndarray
    probabilities: np.ndarray | None
    forecast: Forecast | None
    forecast_on: str
    classes: tuple[ClassCount, ...]

    def id_of(self, row: int) -> str:
        """Returns the name of an unlabelled image."""
        images = self.gathered.unlabelled
        return images.source.ids[images.indices[row]]

    def guess(self, row: int) -> tuple[str, float] | None:
        """Returns the run's class for an unlabelled image and its probability; None without a run."""
        if self.probabilities is None:
            return None
        best = int(self.probabilities[row].argmax())
        return self.gathered.class_names[best], float(self.probabilities[row, best])

    def to_json(self) -> dict[str, Any]:
        """Returns the plan as JSON values."""
        gathered = self.gathered
        return {
            "source": gathered.unlabelled.source.name,
            "features_of": gathered.embedder.name,
            "chosen": [self._case(row) for row in self.chosen.tolist()],
            "outliers": [self._case(row) for row in self.outliers.tolist()],
            "candidates": len(gathered.unlabelled.indices),
            "left_out": {
                "near_copies": gathered.copies,
                "labelled": gathered.known,
                "outliers": len(gathered.outliers),
                "undecodable": len(gathered.unlabelled.inspection.undecodable),
            },
            "forecast": None if self.forecast is None else dataclasses.asdict(self.forecast),
            "forecast_on": self.forecast_on,
            "classes": [dataclasses.asdict(each) for each in self.classes],
        }

    def _case(self, row: int) -> dict[str, Any]:
        guess = self.guess(row)
        return {"image": self.id_of(row), **({"guess": guess[0], "score": round(guess[1], 4)} if guess else {})}


def plan_labels(config: TransferConfig, *, workdir: str | os.PathLike[str] = "", count: int = 50) -> LabelPlan:
    """Chooses the images to label next, from a folder of unlabelled ones.

    Args:
      config: Config that names the unlabelled images as its data, and the cache; without a run, resolved and with the backbone.
      workdir: Directory of a finished run, whose student says what is uncertain; empty for the first labels of all.
      count: Number of images to choose.

    Raises:
      DataError: The images cannot be read, or all of them are labelled.
      WorkdirError: The directory holds no finished run.
      BackboneError: The backbone cannot be loaded.
    """
    gathered = gather_for_run(workdir, config) if workdir else gather_for_backbone(config)
    images, probabilities = gathered.unlabelled, gathered.probabilities
    inside = np.setdiff1d(np.arange(len(images.indices)), gathered.outliers)
    mean = images.features.mean(axis=0)
    vectors = directions(images.features, mean)
    known = directions(gathered.labelled.features, mean) if gathered.labelled else vectors[:0]
    chosen = inside[
        choose_images(
            vectors[inside],
            labelled=known,
            uncertainty=None if probabilities is None else margin_uncertainty(probabilities[inside]),
            count=min(count, len(inside)),
            seed=config.seed,
        )
    ]
    found, on = None, "there is no run yet. Label these and train; the next call forecasts what more labels bring"
    if gathered.labelled:
        found, on = _forecast(gathered, workdir, inside, more=len(chosen), config=config)
    return LabelPlan(
        gathered=gathered,
        chosen=chosen,
        outliers=gathered.outliers[:_OUTLIERS],
        probabilities=probabilities,
        forecast=found,
        forecast_on=on,
        classes=_classes(gathered, probabilities, chosen),
    )


def _classes(gathered: Gathered, probabilities: np.ndarray | None, chosen: np.ndarray) -> tuple[ClassCount, ...]:
    if probabilities is None or gathered.labelled is None:
        return ()
    names, labelled = gathered.class_names, gathered.labelled
    counts = np.bincount(labelled.source.labels[labelled.indices], minlength=len(names)).tolist()
    taken = np.bincount(probabilities[chosen].argmax(axis=1), minlength=len(names)).tolist()
    return tuple(ClassCount(*each) for each in zip(names, counts, taken, strict=True))


def _forecast(
    gathered: Gathered, workdir: str | os.PathLike[str], inside: np.ndarray, *, more: int, config: TransferConfig
) -> tuple[Forecast | None, str]:
    """Returns the forecast for a run over unlabelled images, int64 (k,), and words for what it is of, or why there is none."""
    assert gathered.labelled is not None
    labelled, method = gathered.labelled, RunDirectory(workdir).require_result().method
    if method == "replicate":
        return (
            None,
            f"{workdir} began with random weights, and a linear probe on its features says nothing of new labels",
        )
    others = gathered.unlabelled.only(np.sort(np.random.default_rng(config.seed).permutation(inside)[:_AT_LARGE]))
    features, name = [labelled.features, others.features], gathered.embedder.name
    if method == "fine_tune":  # its features have seen the labels
        begun, _, _ = open_run(workdir)
        untouched = embedder_of_backbone(begun.model)
        features = [
            embed(untouched, images.source, images.inspection, images.indices, config).all()
            for images in (labelled, others)
        ]
        name = f"the untouched {untouched.backbone}; what fine-tuning adds comes on top"
    labels = labelled.source.labels[labelled.indices]
    found = forecast(along_components(np.concatenate(features)), labels, more=more, seed=config.seed)
    if found is None:
        few = number_of(len(labels), "labelled image")
        return None, f"{few} say too little of more: at least {FEWEST} of two classes are needed"
    return found, f"a linear probe on the features of {name}"
