"""Derives a recommendation from teacher scores: teacher, method, cut, rates, length, augmentation and size, with reasons."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from tl_keras.advice.candidates import Candidate
from tl_keras.advice.teacher_scores import Depth, Sample, TeacherScores
from tl_keras.config import (
    DEFAULT_CUT,
    FEWEST_STEPS,
    Method,
    TransferConfig,
    choose_cut,
    from_json,
    method_of_cut,
    resolve,
    to_json,
    train_command,
    with_epochs,
)

# Part of a frozen teacher's test errors that fine-tuning removed, and its standard deviation. Of its last two and four blocks:
# seven pairs of set and teacher in benchmarks/advice.py (-5% to 32%). Of 70% and all of its layers: docs/recipe.md (0% to 61%, and
# -2% to 74% of eight sets).
_ERRORS_REMOVED = {
    "none": (0.0, 0.0),
    "blocks:2": (0.06, 0.12),
    "blocks:4": (0.10, 0.12),
    "fraction:0.7": (0.20, 0.20),
    DEFAULT_CUT: (0.30, 0.23),
}

# BiT-HyperRule (Kolesnikov et al. 2020, section 3.3): fewer than 20,000 images are a small task, 500,000 a large one.
_SMALL_TASK = 20_000

# BiT-HyperRule: images below 96 x 96 pixels are resized to 160 and cropped to 128, all others to 512 and 480. This package keeps
# the teacher's own size, as Kornblith et al. 2019 (section 3) do for all sets, including those of 32 pixels.
_SMALL_IMAGES = 96

# A scan of 8 x 8 pixels has nothing to spare for a crop (`tl_keras.config.quick_start`).
_TOO_SMALL_TO_CROP = 16

# Ratio of the largest class to the smallest from which on errors are weighted by class.
_IMBALANCE = 10

# Accuracy of a probe from which on its errors are too few to show an effect of fine-tuning.
_NOTHING_TO_GAIN = 0.99

# Number of standard errors of the difference within which the images do not tell one teacher from another.
_CLEARLY_BETTER = 1.0


@dataclasses.dataclass(frozen=True)
class Option:
    """A teacher, a method and a cut, with their expected accuracy.

    Attributes:
      teacher_scores: Scores of the teacher.
      unfreeze: `none`, which is feature_extraction, or the cut of fine_tune.
      accuracy: Expected accuracy on images that were not trained on, 0 to 1.
      standard_error: Standard error of the expected accuracy.
    """

    teacher_scores: TeacherScores
    unfreeze: str
    accuracy: float
    standard_error: float

    @property
    def candidate(self) -> Candidate:
        """Returns the teacher."""
        return self.teacher_scores.candidate

    @property
    def method(self) -> Method:
        """Returns `feature_extraction` or `fine_tune`."""
        return method_of_cut(self.unfreeze)

    @property
    def interval(self) -> tuple[float, float]:
        """Returns the accuracy minus and plus two standard errors, within 0 to 1; about 19 of 20 results lie inside."""
        return max(0.0, self.accuracy - 2 * self.standard_error), min(1.0, self.accuracy + 2 * self.standard_error)


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """The recommended run, and the reasons for it.

    Attributes:
      option: Teacher, method and cut.
      config: Config of the run.
      reasons: Sentences, one per choice.
      command: The `train` command.
      measured: Sentences on what was measured out of fold, with its errors: the view, the recipe of fine-tuning.
    """

    option: Option
    config: TransferConfig
    reasons: tuple[str, ...]
    command: str
    measured: tuple[str, ...] = ()

    def with_reason(self, reason: str) -> Recommendation:
        """Returns the recommendation with one more sentence on what was measured."""
        return dataclasses.replace(self, measured=(*self.measured, reason))

    def with_recipe(self, config: TransferConfig, reason: str) -> Recommendation:
        """Returns the recommendation of another config for the same option, and the reason for it."""
        command = train_command(config, "tl_keras_run", every_field=False)
        return dataclasses.replace(self.with_reason(reason), config=config, command=command)


def options_of(teacher_scores: TeacherScores) -> tuple[Option, ...]:
    """Returns a teacher's options: all of its layers, the cuts that were measured, and its features as they are."""
    whole = dataclasses.replace(teacher_scores.last, unfreeze=DEFAULT_CUT)
    depths = [depth for depth in teacher_scores.depths if depth.unfreeze in _ERRORS_REMOVED]
    return tuple(_option(teacher_scores, depth) for depth in (whole, *depths))


def _option(teacher_scores: TeacherScores, depth: Depth) -> Option:
    # Fine-tuning starts from the head on the last features and is undone if it does harm, so it is no worse than the probe there.
    # If a shallower depth tells the classes apart better, the blocks after it are the obstacle.
    best = max(teacher_scores.last.probe, depth.probe, key=lambda probe: probe.accuracy)
    removed, deviation = _ERRORS_REMOVED[depth.unfreeze]
    errors = 1 - best.accuracy
    return Option(
        teacher_scores=teacher_scores,
        unfreeze=depth.unfreeze,
        accuracy=1 - errors * (1 - removed),
        standard_error=float(np.hypot(best.standard_error * (1 - removed), errors * deviation)),
    )


def ranked(teacher_scores: Iterable[TeacherScores]) -> tuple[Option, ...]:
    """Returns the options of all teachers by expected accuracy, except that the one to choose comes first.

    The one to choose is the best. Of teachers that these images cannot tell from it, it is the best option of the largest teacher
    with ImageNet weights (Kornblith et al. 2019, section 4: better ImageNet networks transfer better). A teacher whose probe is
    within a standard error of 0.99 is not fine-tuned.
    """
    options = sorted((o for each in teacher_scores for o in options_of(each)), key=lambda o: o.accuracy, reverse=True)
    worthwhile = [o for o in options if o.method == "feature_extraction" or not _is_saturated(o.teacher_scores)]
    best = worthwhile[0]
    as_good = [o for o in worthwhile if best.accuracy - o.accuracy <= _CLEARLY_BETTER * _error_of_difference(best, o)]
    first = max(as_good, key=lambda o: (o.candidate.weights == "imagenet", o.teacher_scores.parameters, o.accuracy))
    return (first, *(option for option in options if option is not first))


def _is_saturated(teacher_scores: TeacherScores) -> bool:
    """Returns whether the unchanged features leave too few errors to show an effect of fine-tuning."""
    probe = teacher_scores.last.probe
    return probe.accuracy + probe.standard_error >= _NOTHING_TO_GAIN


def _error_of_difference(one: Option, other: Option) -> float:
    """Returns the standard error of the difference between two teachers' probes on the same images; 0 for the same teacher."""
    difference = one.teacher_scores.last.probe.right.astype(float) - other.teacher_scores.last.probe.right
    return float(difference.std() / np.sqrt(len(difference)))


def recommend(option: Option, options: Sequence[Option], config: TransferConfig, sample: Sample) -> Recommendation:
    """Fills a config with an option and with settings for the number, size and balance of the images.

    Args:
      option: The chosen one of the options.
      options: Options of all teachers.
      config: The user's config; teacher, method, cut, rates, length, augmentation and weights are replaced.
      sample: Sample of the data.
    """
    config = from_json(to_json(config))
    config.model = option.candidate.choose(config.model)
    choose_cut(config.model, option.unfreeze)
    config.data.augmentation = ""
    config.training.learning_rate, config.training.epochs, config.training.head_epochs = 0.0, 0, 0
    small = _median_side(sample) <= _TOO_SMALL_TO_CROP
    if small:
        config.data.augmentation = "none"
    counts = np.bincount(sample.source.labels[sample.splits.train], minlength=len(sample.source.class_names))
    imbalance = counts.max() / max(counts.min(), 1)
    config.training.class_weights = "balanced" if imbalance > _IMBALANCE else "none"
    images = len(sample.splits.train)
    config = with_epochs(resolve(config), images=images)
    steps = FEWEST_STEPS["head" if option.method == "feature_extraction" else "fine-tuning"]
    reasons = (
        _teacher_reason(option, options),
        _cut_reason(option, options),
        _rate_reason(option, config),
        f"epochs: {config.training.epochs}, by the {images} training images (at least {steps} steps; BiT-HyperRule "
        f"trains 500 on a {'small' if images < _SMALL_TASK else 'larger'} task, below {_SMALL_TASK:,} images)",
        _augmentation_reason(config, images_are_tiny=small),
        _size_reason(option, sample),
        f"class weights: {config.training.class_weights}, because the largest class has {imbalance:.1f} times the images "
        "of the smallest",
    )
    return Recommendation(option, config, reasons, train_command(config, "tl_keras_run", every_field=False))


def _median_side(sample: Sample) -> float:
    inspection = sample.inspection
    return float(np.median(np.minimum(inspection.heights, inspection.widths)[inspection.decodable]))


def _teacher_reason(option: Option, options: Sequence[Option]) -> str:
    rivals = {o.candidate: o.teacher_scores for o in options if o.candidate != option.candidate}
    own = option.teacher_scores.last
    others = ", ".join(
        f"{candidate.name} {teacher_scores.last.probe.accuracy:.3f}" for candidate, teacher_scores in rivals.items()
    )
    against = f", against {others}" if others else "; no other was tried"
    open_question = option.accuracy < max((o.accuracy for o in options if o.candidate in rivals), default=0.0)
    larger = "; that is no clear difference, and the largest ImageNet teacher is taken" if open_question else ""
    return f"teacher {option.candidate.name}: a linear probe on its features gets {own.probe.accuracy:.3f} right{against}{larger}"


def _cut_reason(option: Option, options: Sequence[Option]) -> str:
    depths = option.teacher_scores.depths
    by_depth = ", ".join(f"{depth.where} {depth.probe.accuracy:.3f}" for depth in depths)
    if option.method == "feature_extraction" and _is_saturated(option.teacher_scores):
        probe = option.teacher_scores.last.probe
        return (
            f"method feature_extraction: a probe on the last features gets {probe.accuracy:.3f} ± {probe.standard_error:.3f} "
            f"right, which leaves fine-tuning nothing to gain; the probe by depth: {by_depth}"
        )
    if option.method == "feature_extraction":
        return (
            f"method feature_extraction: training layers of the teacher promises no more than noise here; "
            f"the probe by depth: {by_depth}"
        )
    return (
        f"method fine_tune, unfreeze {option.unfreeze}: expected to beat the features as they are; "
        f"the probe by depth: {by_depth}"
    )


def _rate_reason(option: Option, config: TransferConfig) -> str:
    training = config.training
    head = f"learning rate: {training.learning_rate:g} for the new head, which starts from random weights"
    if option.method == "feature_extraction":
        return head
    rate = training.learning_rate * training.fine_tune_learning_rate_factor
    return f"{head}; {rate:g} for the teacher's layers, which larger steps erase"


def _augmentation_reason(config: TransferConfig, *, images_are_tiny: bool) -> str:
    if images_are_tiny:
        return f"augmentation: none, because images of {_TOO_SMALL_TO_CROP} pixels or fewer have nothing to crop"
    if config.data.augmentation == "none":
        return "augmentation: none, because frozen layers then see each image once"
    return f"augmentation: {config.data.augmentation}, random crops and flips, as BiT-HyperRule has for every task but counting"


def _size_reason(option: Option, sample: Sample) -> str:
    size, side = option.teacher_scores.image_size, _median_side(sample)
    small = f", below BiT-HyperRule's line of {_SMALL_IMAGES}, and they are enlarged" if side < _SMALL_IMAGES else ""
    own = f"image size: {size}, the teacher's own (Kornblith et al. 2019)"
    return f"{own}; the median short side of your images is {side:.0f}{small}"
