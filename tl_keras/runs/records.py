"""Defines typed records of a run's JSON files, read by attribute; their keys are the contract with people and scripts."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from tl_keras.console import in_words

_RecordT = TypeVar("_RecordT", bound="Record")

_NOT_IN_FILE = {"in_file": False}  # as metadata of a field

_ACCURACY = "accuracy"  # the score of one label per image, and of every run of earlier versions


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """One JSON object: a field for each of its keys.

    Fields without a default are in the files of every version. Those whose default is None have no key in the file where they
    are None, unless `WRITTEN_AS_NULL` names them.

    The key of a field that ends with `score` ends with the name of the score instead: for accuracy, `test_score` is `test_accuracy`
    in the file, and `record.test_accuracy` reads it too.

    Attributes:
      score_name: Name of the task's score, as in `tl_keras.Task`; in the file unless it is `accuracy`.
      others: Keys of the file that this version does not know; they are written back.
    """

    WRITTEN_AS_NULL: ClassVar[tuple[str, ...]] = ()

    score_name: str = dataclasses.field(default=_ACCURACY, metadata=_NOT_IN_FILE)
    others: dict[str, Any] = dataclasses.field(default_factory=dict, metadata=_NOT_IN_FILE)

    def to_json(self) -> dict[str, Any]:
        """Returns the JSON object, in the order of the fields."""
        values = {name: getattr(self, name) for name in _fields_in_file(type(self))}
        written = {
            _key(name, self.score_name): value
            for name, value in values.items()
            if value is not None or name in self.WRITTEN_AS_NULL
        }
        return {**written, **_named(self.score_name), **self.others}

    @classmethod
    def from_json(cls: type[_RecordT], values: Any) -> _RecordT:
        """Reads what `to_json` of this version or an earlier one returned.

        Raises:
          ValueError: It is no JSON object, a key that every version writes is missing, or a value is of another type.
        """
        if not isinstance(values, Mapping):
            raise ValueError("no JSON object")
        score_name = str(values.get("score_name", _ACCURACY))
        keys = {_key(name, score_name): field for name, field in _fields_in_file(cls).items()}
        if missing := [key for key, field in keys.items() if _is_required(field) and key not in values]:
            raise ValueError(f"JSON without {', '.join(missing)}")
        kinds = typing.get_type_hints(cls)
        known = {key: field.name for key, field in keys.items() if key in values}
        for key, name in known.items():
            if not _is_of_kind(values[key], kinds[name]):
                raise ValueError(f"{key} is {str(values[key])[:40]!r}")
        others = {key: value for key, value in values.items() if key not in keys and key not in _named(score_name)}
        return cls(**{name: values[key] for key, name in known.items()}, score_name=score_name, others=others)

    if not TYPE_CHECKING:  # which knows the fields alone

        def __getattr__(self, key: str) -> Any:
            """Returns the field or property that ends with `score`, by the name that it has in the file."""
            field = key.removesuffix(self.score_name) + "score"
            if field == key or not key.endswith(self.score_name):
                raise AttributeError(f"{type(self).__name__} has no attribute {key}")
            return getattr(self, field)


def _key(field: str, score_name: str) -> str:
    """Returns the key of a field in the file."""
    return field.removesuffix("score") + score_name if field.endswith("score") else field


def _named(score_name: str) -> dict[str, str]:
    """Returns the key that names the score, where it is not accuracy."""
    return {} if score_name == _ACCURACY else {"score_name": score_name}


def _fields_in_file(record: type[Record]) -> dict[str, dataclasses.Field[Any]]:
    return {field.name: field for field in dataclasses.fields(record) if field.metadata.get("in_file", True)}


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _is_of_kind(value: Any, kind: Any) -> bool:
    """Returns whether a value read from JSON is what a field's annotation says, within lists and dictionaries too."""
    if kind is Any:
        return True
    if isinstance(kind, types.UnionType):
        return any(_is_of_kind(value, each) for each in typing.get_args(kind))
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is list:
        return isinstance(value, list) and all(_is_of_kind(each, arguments[0]) for each in value)
    if typing.get_origin(kind) is dict:
        return isinstance(value, dict) and all(_is_of_kind(each, arguments[1]) for each in value.values())
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpochRecord(Record):
    """One epoch of a run: a line of `metrics.jsonl`.

    Attributes:
      epoch: Epoch of the run, from 1.
      phase: Name of the phase that it belongs to.
      loss: Mean loss over the epoch's training images.
      score: Score of the epoch's training images, the higher the better.
      validation_loss: Mean loss on the validation images after the epoch.
      validation_score: Score of the validation images after the epoch.
      seconds: Seconds of the epoch, validation included.
      elapsed_seconds: Seconds of the run until the end of the epoch, preparing included; None in files of earlier versions.
      images_per_second: Training images read, decoded and trained on per second; None where the epoch passed over cached
        features.
      cached_images_per_second: Training images per second where the epoch passed over cached features, otherwise None.
    """

    WRITTEN_AS_NULL: ClassVar[tuple[str, ...]] = ("images_per_second", "cached_images_per_second")

    epoch: int
    phase: str
    loss: float
    score: float
    validation_loss: float
    validation_score: float
    seconds: float
    elapsed_seconds: float | None = None
    images_per_second: float | None
    cached_images_per_second: float | None = None


@dataclasses.dataclass
class Progress:
    """How far a run has come: what its checkpoint holds beside the values of variables.

    Attributes:
      learning_rate: The peak that was found before the first phase, or 0.
      phase: Position of the phase in the run.
      phase_epochs: Epochs of that phase that are done.
      phase_over: Whether early stopping has ended it.
      epochs_since_best: Epochs of that phase since its own best score.
      phase_best_score: Best validation score and negative loss within that phase, or None.
      kept_phase: Name of the phase whose weights are kept.
      kept_epoch: Epoch of the run, from 1, whose weights are kept.
      history: A record of each epoch of the run.
      proofs: A dictionary for each phase that is over: what the freeze plan was seen to do.
      seconds: Seconds of each part of the run so far, over all processes that have worked on it.
      preparing_seconds: Seconds of that part in checkpoints of earlier versions, which wrote it alone.
    """

    learning_rate: float = 0.0
    phase: int = 0
    phase_epochs: int = 0
    phase_over: bool = False
    epochs_since_best: int = 0
    phase_best_score: tuple[float, float] | None = None
    kept_phase: str = ""
    kept_epoch: int = 0
    history: list[EpochRecord] = dataclasses.field(default_factory=list)
    proofs: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    preparing_seconds: float = 0.0

    def at_start_of(self, phase: int) -> Progress:
        """Returns the progress with which a phase begins: the run's best and history so far, nothing of the phase."""
        return dataclasses.replace(
            self, phase=phase, phase_epochs=0, phase_over=False, epochs_since_best=0, phase_best_score=None
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the JSON object that a checkpoint holds."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**values, "history": [epoch.to_json() for epoch in self.history]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Progress:
        """Reads what `to_json` of this version or an earlier one returned.

        Raises:
          TypeError: There are other keys.
          ValueError: The record of an epoch is damaged.
        """
        known = {name: value for name, value in values.items() if name != "best_accuracy"}  # of earlier versions
        if known["phase_best_score"] is not None:
            known["phase_best_score"] = tuple(known["phase_best_score"])
        known["history"] = [EpochRecord.from_json(epoch) for epoch in known["history"]]
        return cls(**known)


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class RunResult(Record):
    """The result of one run: the contents of `result.json`.

    Example:
      `train_and_evaluate` returns it; the result of an earlier run is read from its directory.

      ```python
      from tl_keras.runs.directory import RunDirectory

      result = RunDirectory("run1").require_result()
      print(f"{result.accuracy:.1%} of the {result.split} images are answered correctly")
      assert result.accuracy == result.score  # its name in the file, and in the program for every task
      ```

    Attributes:
      validation_score: Score of the kept weights on the validation images, the higher the better.
      validation_loss: Loss of the kept weights on the validation images.
      loss: The same as `validation_loss`; the name that scripts look for.
      test_score: Score on the test images; None if there are none or they were not measured.
      test_loss: Loss on the test images, or None.
      baseline_score: Score on the same images of one answer for all, such as the most frequent class of the training images;
        None if the task has no such answer, or compares errors instead, which are in `measures`.
      head_validation_score: Score of the head alone on the validation images, before fine-tuning; None without fine-tuning.
      interval: Both ends of the 95% interval of `score`; None in files of earlier versions, whose score is an accuracy.
      method: `replicate`, `feature_extraction` or `fine_tune`.
      backbone: Name of the pre-trained backbone (the teacher).
      weights: Name or file of the teacher's weights.
      unfreeze: Layers of the teacher that the last phase trained, as in `--unfreeze`.
      kept_phase: Name of the phase whose weights were kept.
      kept_epoch: Epoch of the run, from 1, whose weights were kept.
      epochs: Number of epochs that were trained, over all phases; None in files of earlier versions.
      fine_tuning_undone: Whether the head's phase was kept because fine-tuning did harm; None in other methods.
      freeze_proof: For each phase its name and how many frozen variables stayed bit-identical and trained ones moved.
      seconds: Seconds that the person waited, by part; they add up to the whole.
      images_per_second: Training images read, decoded and trained on per second, in the median epoch; None where every epoch
        passed over cached features.
      cached_images_per_second: Training images per second in the median epoch over cached features; None where there was none.
      time_to_score: For each best validation score so far that score, under its key in the file, `seconds` and, at a price, `cost`.
      parameters_trained: Number of parameters that the last phase trained.
      parameters_frozen: Number of all other parameters.
      images: Number of images, or texts, in each split with a label of their own: `train`, `validation`, `test`.
      remarks: Sentences on the images that were said before training, such as which were left out; None in files of earlier
        versions.
      noun: Word for one input where that is no image, such as `text`; None for images.
      folds: `number` of folds, the score of the out-of-fold predictions of all labelled `images` under its name, its 95%
        `interval`, and the scores `by_fold`; None in a run without folds. With folds, validation figures are out of fold too.
      refit: Number of `epochs` and labelled `images` where training began again on all of them; None where it did not. Validation
        figures are those of the model before.
      pseudo_labels: Number of unlabelled `images`, how many labels were given `by_class`, why others have none (`left_out`), the
        out-of-fold `accuracy_before` and `accuracy_after` on true labels and the `noise` of their difference, whether they were
        `kept`, how many images were `used`, and all of it in words (`says`); None in a run without unlabelled images.
      groups: Origin (`by`) and `number` of the groups that the splits keep whole; None if there are none.
      distillation: Options of learning from a finished run, fingerprint of its weights (`teacher_weights`), number of
        `unlabelled_images`, mixtures among them, and whether it saw the `same_views` as the student; None without.
      seed: Seed of the run.
      hardware: Hardware that the run computed on, and why; see `tl_keras.distribution.hardware.Hardware`.
      versions: Versions of the packages that decide the numbers.
      hashes: Fingerprints of the teacher's weights, the student's weights and the images.
      calibration: Temperature, and the errors of calibration before and after it.
      own_parts: Names of callbacks and of an augmentation that the program gave, without which `config.json` does not train the
        same again; None in a run of its config alone.
      measures: Further measures of the task on the images of `split`; None where it has none.
      export: A dictionary for each export that was made, as `export_run` returns it.
      shrink: Formats as `tl_keras.experiments.shrinking.shrink` measured them, and those to choose; None before.
      resumed: Whether any of the work had been done before the call that returned this result; not in the file.
    """

    WRITTEN_AS_NULL: ClassVar[tuple[str, ...]] = ("images_per_second", "cached_images_per_second")

    validation_score: float
    validation_loss: float
    loss: float
    test_score: float | None = None
    test_loss: float | None = None
    baseline_score: float | None = None
    head_validation_score: float | None = None
    interval: list[float] | None = None
    method: str
    backbone: str
    weights: str
    unfreeze: str
    kept_phase: str
    kept_epoch: int
    epochs: int | None = None
    fine_tuning_undone: bool | None = None
    freeze_proof: list[dict[str, Any]]
    seconds: dict[str, float]
    images_per_second: float | None
    cached_images_per_second: float | None = None
    time_to_score: list[dict[str, float]] = dataclasses.field(default_factory=list)
    parameters_trained: int
    parameters_frozen: int
    images: dict[str, int]
    remarks: list[str] | None = None
    noun: str | None = None
    folds: dict[str, Any] | None = None
    refit: dict[str, int] | None = None
    pseudo_labels: dict[str, Any] | None = None
    groups: dict[str, Any] | None = None
    distillation: dict[str, Any] | None = None
    seed: int
    hardware: dict[str, Any]
    versions: dict[str, str]
    hashes: dict[str, str]
    calibration: dict[str, Any]
    own_parts: dict[str, Any] | None = None
    measures: dict[str, Any] | None = None
    export: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    shrink: dict[str, Any] | None = None
    resumed: bool = dataclasses.field(default=False, metadata=_NOT_IN_FILE)

    @property
    def split(self) -> str:
        """Returns the split that `score` was measured on: `test` if it was measured, otherwise `validation`."""
        return "validation" if self.test_score is None else "test"

    @property
    def inputs(self) -> str:
        """Returns the word for what was learnt from: `images` or `texts`."""
        return f"{self.noun or 'image'}s"

    @property
    def score(self) -> float:
        """Returns the score of the images of `split`, the higher the better."""
        return self.validation_score if self.test_score is None else self.test_score

    @property
    def best_scores(self) -> list[tuple[float, float]]:
        """Returns the seconds until each best validation score so far, and that score."""
        return [(each["seconds"], each[_key("validation_score", self.score_name)]) for each in self.time_to_score]

    @property
    def total_seconds(self) -> float:
        """Returns the seconds from the start of the command to its end."""
        return sum(self.seconds.values())

    @property
    def process(self) -> int:
        """Returns the number of the process that made the result; 0 is the one that writes the run directory."""
        return self.hardware.get("process", 0)  # earlier versions had one process

    def with_export(self, row: dict[str, Any]) -> RunResult:
        """Returns the result with an export, in place of the one that was at the same path.

        Args:
          row: One of the dictionaries that `export_run` returns.
        """
        return dataclasses.replace(self, export=_with_row(self.export, row))

    def __repr__(self) -> str:
        score = in_words(self.score_name)
        test = "" if self.test_score is None else f"test {score} {self.test_score:.4f}, "
        return (
            f"<RunResult: {test}validation {score} {self.validation_score:.4f}; {self.method} of {self.backbone}, "
            f"epoch {self.kept_epoch} kept; {self.total_seconds:.0f} s>"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoupResult(Record):
    """The result of averaging runs: the contents of `soup.json`.

    Attributes:
      of: Run directories whose weights, or in an ensemble whose answers, were averaged.
      validation_score: Score of the average on the validation images; of an ensemble, that of its parts out of fold.
      workdir: Directory of the average.
      test_score: Score of an ensemble on the test images; None without.
      export: A dictionary for each export that was made, as `export_run` returns it; None before the first.
    """

    of: list[str]
    validation_score: float
    workdir: str
    test_score: float | None = None
    export: list[dict[str, Any]] | None = None

    def with_export(self, row: dict[str, Any]) -> SoupResult:
        """Returns the result with an export, in place of the one that was at the same path."""
        return dataclasses.replace(self, export=_with_row(self.export or [], row))


def _with_row(export: list[dict[str, Any]], row: dict[str, Any]) -> list[dict[str, Any]]:
    return [*(each for each in export if each["path"] != row["path"]), row]
