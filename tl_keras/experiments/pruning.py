"""Makes a smaller run of a finished one: channels are removed from its backbone, and what is left is fine-tuned."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import zipfile

from tl_keras.backbones.teacher_files import ENTRY
from tl_keras.config import TransferConfig, from_json
from tl_keras.console import in_words, say
from tl_keras.data.base import Source, require_images
from tl_keras.errors import BackboneError, ConfigError
from tl_keras.experiments.channels import inner_channels, without_channels
from tl_keras.experiments.measure import open_run
from tl_keras.experiments.timing import call_on_one_image, milliseconds
from tl_keras.files import replacing
from tl_keras.runs.directory import RunDirectory
from tl_keras.serving.model_file import TrainedModel, load_model
from tl_keras.training.loop import train_and_evaluate


@dataclasses.dataclass(frozen=True)
class Pruned:
    """A run and the smaller one that was made of it.

    Attributes:
      score_name: Name of the score.
      split: Split that both were measured on.
      scores: Scores of the run and of the pruned one.
      parameters: Numbers of their parameters.
      milliseconds: Times of one image on this machine.
      max_loss: Loss of the score that is allowed.
      workdir: Directory of the pruned run.
    """

    score_name: str
    split: str
    scores: tuple[float, float]
    parameters: tuple[int, int]
    milliseconds: tuple[float, float]
    max_loss: float
    workdir: str

    @property
    def meets(self) -> bool:
        """Returns whether the pruned run loses at most what is allowed."""
        return self.scores[0] - self.scores[1] <= self.max_loss + 1e-9


def prune(
    workdir: str | os.PathLike[str],
    pruned_workdir: str | os.PathLike[str],
    *,
    part: float,
    max_loss: float = 0.01,
    epochs: int = 0,
    source: Source | None = None,
) -> Pruned:
    """Removes a part of a run's inner channels, fine-tunes what is left on its images and its answers, and compares both.

    The pruned run is an ordinary one. It is not trained again if it is finished.

    Args:
      workdir: Directory of the finished run.
      pruned_workdir: Directory that receives the pruned run.
      part: Part of the channels between two convolutions to remove, above 0 and below 1.
      max_loss: Loss of the score that is allowed, 0 to 1.
      epochs: Number of epochs of fine-tuning; 0 for the usual number with a teacher run.
      source: The run's images if they are in memory. None means the source in the run's config.

    Raises:
      ConfigError: The part is none, the pruned run has the directory of the run, or the run holds no image back.
      BackboneError: The network has no channels that can be removed.
      DataError: The images can no longer be read, or are texts.
    """
    if not 0 < part < 1:
        raise ConfigError(f"prune: expected a part of the channels above 0 and below 1. Received: {part:g}.")
    run, small = RunDirectory(workdir), RunDirectory(pruned_workdir)
    if run.path.resolve() == small.path.resolve():
        raise ConfigError(f"pruned_workdir: expected another directory than the run's. Received: {pruned_workdir}.")
    result = run.require_result()
    _, images, splits = open_run(workdir, source=source)
    require_images(images.noun, command="shrink --prune")
    if splits.to_measure_on()[0] == "training":
        raise ConfigError(
            f"prune: expected a run that holds images back, by which both are measured. Received: {workdir}, of folds, "
            "which has trained on all. Train one without --folds, or declare a test split."
        )
    trained = load_model(run.model)
    of = result.hashes["student_weights"][:8]  # another run may have left its own here
    file = small.path / f"backbone_{of}_without_{part:g}.keras"
    if not file.is_file():
        _write_pruned(trained, file, part=part, name=str(workdir))
    # A run of a sweep has not measured its test images.
    measure_test = result.split == "test"
    config = _config_of(run, file, epochs=epochs)
    finished = train_and_evaluate(config, small.path, source=source, measure_test=measure_test)
    _require_same_images(run, small)
    models = [trained.model, load_model(small.model).model]
    taken = milliseconds({str(which): call_on_one_image(model) for which, model in enumerate(models)})
    return Pruned(
        score_name=result.score_name,
        split=result.split,
        scores=(result.score, finished.score),
        parameters=(models[0].count_params(), models[1].count_params()),
        milliseconds=(taken["0"], taken["1"]),
        max_loss=max_loss,
        workdir=str(pruned_workdir),
    )


def describe_pruned(found: Pruned) -> str:
    """Returns a table of the run and the pruned one, and whether the latter loses too much."""
    score = f"{found.split} {in_words(found.score_name)}"
    lines = [f"{'':<10}{score:>22}{'parameters':>14}{'megabytes':>11}{'milliseconds':>14}"]
    for name, measured, parameters, taken in zip(
        ("the run", "pruned"), found.scores, found.parameters, found.milliseconds, strict=True
    ):
        lines.append(f"{name:<10}{measured:>22.4f}{parameters:>14,}{4e-6 * parameters:>11.2f}{taken:>14.1f}")
    lost = found.scores[0] - found.scores[1]
    verdict = (
        f"within {found.max_loss:g}"
        if found.meets
        else f"loses too much, {lost:.4f}, where {found.max_loss:g} is allowed"
    )
    lines.append("(megabytes in float32; milliseconds for one image here, in TensorFlow)")
    lines.append(f"{verdict}: {found.workdir}")
    if found.meets:
        lines.append(f"next: python -m tl_keras.shrink --workdir={found.workdir}")
    else:
        lines.append("Remove a smaller part, or fine-tune for more --prune_epochs.")
    return "\n".join(lines)


def _write_pruned(trained: TrainedModel, file: pathlib.Path, *, part: float, name: str) -> None:
    """Writes the backbone of a run without a part of its channels, as a teacher of the same preprocessing."""
    backbone = trained.model.get_layer("backbone")
    groups = inner_channels(backbone)
    removed = sum(each.count - each.kept(part) for each in groups)
    if not removed:
        raise BackboneError(
            f"prune: expected a network with more than 8 channels between two convolutions, of which {part:g} are some. Received: "
            f"{name}, of which none can be removed. Use python -m tl_keras.shrink without --prune."
        )
    say(f"{removed} of {sum(each.count for each in groups)} channels between two convolutions are removed")
    pruned = without_channels(backbone, part)
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        pruned.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(ENTRY, json.dumps({"preprocess": trained.preprocess.to_json()}))


def _config_of(run: RunDirectory, file: pathlib.Path, *, epochs: int) -> TransferConfig:
    """Returns the config of the pruned run: the images, splits and task of the run, which is its teacher run."""
    begun = run.read_config()
    assert begun is not None  # a finished run has its config
    config = from_json(begun["config"])
    fresh = TransferConfig()
    training, model = config.training, config.model
    of_head = {"feature_extraction": training.epochs, "fine_tune": training.head_epochs}  # as long as the run had
    training.head_epochs = of_head.get(model.method, 0)
    training.epochs, training.learning_rate = epochs, 0.0
    training.fine_tune_learning_rate_factor = fresh.training.fine_tune_learning_rate_factor
    model.backbone, model.weights, model.alpha, model.image_size = str(file), "imagenet", 0.0, 0
    model.method, model.unfreeze, model.unfreeze_schedule, model.start_from = "fine_tune", "all", "", ""
    # The statistics of what is left are others.
    model.batch_norm = "recalibrate"
    config.distillation = dataclasses.replace(fresh.distillation, teacher_run=str(run.path))
    config.export = "none"
    return config


def _require_same_images(run: RunDirectory, small: RunDirectory) -> None:
    """Raises a ConfigError unless the pruned run was measured on the images of the run."""
    (split, ours), (other, theirs) = map(_measured_on, (run, small))
    if (split, ours) != (other, theirs):
        raise ConfigError(
            f"prune: expected {len(ours)} images of {split}, on which the run was measured. Received: {len(theirs)} of {other}, in "
            f"{small.path}. Remove that directory, or train the run again."
        )


def _measured_on(run: RunDirectory) -> tuple[str, list[str]]:
    """Returns the split that a finished run was measured on, and the names of its images."""
    split = run.require_result().split
    return split, sorted((run.read_splits() or {}).get(split, []))
