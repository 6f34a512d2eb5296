"""Derives a recommendation from teacher scores: teacher, method, cut, rates, length, augmentation and size, with reasons."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from tl_keras.advice.candidates import Candidate
from tl_keras.advice.published_prior import expected_accuracies, prior_counts
from tl_keras.advice.teacher_scores import Depth, Sample, TeacherScores
from tl_keras.backbones.specs import takes_texts
from tl_keras.config import (
    CAUTIOUS_CUT,
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
from tl_keras.data.labelling import labelling_of
from tl_keras.probes.probe import error_of_mean
from tl_keras.probes.task_probe import Judged
from tl_keras.training.preparation import for_its_inputs

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
      accuracy: Expected accuracy, or other score of the task, on images that were not trained on, at most 1.
      standard_error: Standard error of the expected accuracy.
      correction: Difference of it from the part that the teacher's probe gets right, which the probe's probabilities and published
        accuracies make; 0 where too few teachers are compared.
    """

    teacher_scores: TeacherScores
    unfreeze: str
    accuracy: float
    standard_error: float
    correction: float = 0.0

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


def options_of(teacher_scores: TeacherScores, *, correction: float = 0.0) -> tuple[Option, ...]:
    """Returns a teacher's options: the usual cut, the cuts that were measured, and its features as they are.

    Args:
      teacher_scores: Scores of the teacher.
      correction: Difference of the accuracy that is expected of its features from that of their probe.
    """
    numbers = labelling_of(teacher_scores.last.probe.labels).kind == "numbers"
    usual = CAUTIOUS_CUT if numbers or takes_texts(teacher_scores.candidate.backbone) else DEFAULT_CUT
    whole = dataclasses.replace(teacher_scores.last, unfreeze=usual)
    known = _ERRORS_REMOVED.keys() - ({usual} if numbers else set())
    depths = [depth for depth in teacher_scores.depths if depth.unfreeze in known]
    return tuple(_option(teacher_scores, depth, correction) for depth in (whole, *depths))


def _option(teacher_scores: TeacherScores, depth: Depth, correction: float) -> Option:
    # Fine-tuning starts from the head on the last features and is undone if it does harm, so it is no worse than the probe there.
    # If a shallower depth tells the classes apart better, the blocks after it are the obstacle.
    best = max(teacher_scores.last.probe, depth.probe, key=lambda probe: probe.score)
    removed, deviation = _ERRORS_REMOVED[depth.unfreeze]
    errors = 1 - min(max(best.score + correction, 0.0), 1.0)
    return Option(
        teacher_scores=teacher_scores,
        unfreeze=depth.unfreeze,
        accuracy=1 - errors * (1 - removed),
        standard_error=float(np.hypot(best.standard_error * (1 - removed), errors * deviation)),
        correction=correction,
    )


def ranked(teacher_scores: Iterable[TeacherScores], method: Method | None = None) -> tuple[Option, ...]:
    """Returns the options of all teachers, of one method or any, by expected accuracy, but the one to choose first.

    The one to choose is the best. Where at least four teachers have a published accuracy, what is expected combines it with the
    probes. Where fewer have, it is, of teachers that these images cannot tell from the best, that with the highest published
    accuracy, or the largest (Kornblith et al. 2019, section 4: better ImageNet networks transfer better). A teacher whose probe is
    within a standard error of 0.99 is not fine-tuned.
    """
    teacher_scores = tuple(teacher_scores)
    published = np.array([each.candidate.published_top1 for each in teacher_scores])
    corrections = _corrections(teacher_scores, published)
    options = [
        option
        for each, correction in zip(teacher_scores, corrections, strict=True)
        for option in options_of(each, correction=float(correction))
    ]
    options.sort(key=lambda o: o.accuracy, reverse=True)
    if method == "replicate":  # what a network learns from random weights, none of the scores tells
        options = [o for o in options if o.unfreeze == "none"]
    elif method:
        options = [o for o in options if o.method == method]
    saves = [o for o in options if o.method == "feature_extraction" or not _is_saturated(o.teacher_scores)]
    worthwhile = saves or options
    best = worthwhile[0]
    tolerated = 0.0 if prior_counts(published) else _CLEARLY_BETTER  # what is published counts once
    as_good = [o for o in worthwhile if best.accuracy - o.accuracy <= tolerated * _error_of_difference(best, o)]
    first = max(as_good, key=_preference)
    return (first, *(option for option in options if option is not first))


def _preference(option: Option) -> tuple[float, bool, int, float]:
    """Returns what decides between options of teachers that are as good."""
    candidate = option.candidate
    return (
        candidate.published_top1,
        candidate.weights == "imagenet",
        option.teacher_scores.parameters,
        option.accuracy,
    )


def _corrections(teacher_scores: Sequence[TeacherScores], published: np.ndarray) -> np.ndarray:
    """Returns what the scores to expect have beyond those of the probes, float64 (teachers,)."""
    values, degrees = (
        np.stack([getattr(each.last.probe, name) for each in teacher_scores]) for name in ("values", "degrees")
    )
    together = teacher_scores[0].last.probe.clusters
    return expected_accuracies(values, degrees, published, clusters=together) - values.mean(axis=1)


def _is_saturated(teacher_scores: TeacherScores) -> bool:
    """Returns whether the unchanged features leave too few errors to show an effect of fine-tuning."""
    probe = dataclasses.replace(teacher_scores.last.probe, groups=None)  # few errors are few, whomever they belong to
    return probe.score + probe.standard_error >= _NOTHING_TO_GAIN


def _error_of_difference(one: Option, other: Option) -> float:
    """Returns the standard error of the difference between two teachers' probes on the same images; 0 for the same teacher."""
    if one.teacher_scores is other.teacher_scores:
        return 0.0
    ours, theirs = (each.teacher_scores.last.probe for each in (one, other))
    return error_of_mean(ours.values - theirs.values, ours.clusters)


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
    balance_reasons = _balance(config, sample)
    config, input_reasons = _fitted_to_inputs(option, config, sample)
    reasons = (
        _teacher_reason(option, options),
        _cut_reason(option, options),
        _rate_reason(option, config),
        _epochs_reason(option, config, sample),
        *input_reasons,
        *balance_reasons,
    )
    return Recommendation(option, config, reasons, train_command(config, "tl_keras_run", every_field=False))


def _balance(config: TransferConfig, sample: Sample) -> list[str]:
    """Sets the class weights of a config that learns classes, unless it has another remedy, and returns the reason."""
    training = config.training
    if not sample.of_classes or training.sampling != "none" or training.loss == "logit_adjustment":
        return []
    counts = np.bincount(sample.source.labels[sample.splits.train], minlength=len(sample.source.class_names))
    imbalance = counts.max() / max(counts.min(), 1)
    training.class_weights = "balanced" if imbalance > _IMBALANCE else "none"
    return [
        f"class weights: {training.class_weights}, because the largest class has {imbalance:.1f} times the "
        f"{sample.source.noun}s of the smallest"
    ]


def _fitted_to_inputs(option: Option, config: TransferConfig, sample: Sample) -> tuple[TransferConfig, tuple[str, ...]]:
    """Returns the resolved config with what images, or texts, decide: augmentation, size and epochs; and the reasons."""
    train = sample.splits.train
    if sample.source.noun == "text":
        from tl_keras.text.text_defaults import fitted_to_texts

        config, remark = fitted_to_texts(resolve(for_its_inputs(config, sample.source)), sample.source, train)
        return with_epochs(config, images=len(train)), (remark,)
    tiny = _median_side(sample) <= _TOO_SMALL_TO_CROP
    if tiny:
        config.data.augmentation = "none"
    config = with_epochs(resolve(config), images=len(train))
    return config, (_augmentation_reason(config, images_are_tiny=tiny), _size_reason(option, sample))


def _median_side(sample: Sample) -> float:
    inspection = sample.inspection
    return float(np.median(np.minimum(inspection.heights, inspection.widths)[inspection.decodable]))


def _teacher_reason(option: Option, options: Sequence[Option]) -> str:
    rivals = {o.candidate: o.teacher_scores for o in options if o.candidate != option.candidate}
    own = option.teacher_scores.last
    others = ", ".join(f"{candidate.name} {_with_error(scores.last.probe)}" for candidate, scores in rivals.items())
    against = f", against {others}" if others else "; no other was tried"
    open_question = option.accuracy < max((o.accuracy for o in options if o.candidate in rivals), default=0.0)
    more = ""
    if option.correction:
        corrected = {o.candidate.name: o.teacher_scores.last.probe.score + o.correction for o in options}
        named = ", ".join(f"{name} {accuracy:.3f}" for name, accuracy in corrected.items())
        more = f"; corrected by how sure the probes are of the right class, and by published accuracies, {named}"
    if open_question:
        more += "; that is no clear difference, and the best or largest ImageNet teacher is taken"
    got = own.probe.in_sentence(_with_error(own.probe))
    return f"teacher {option.candidate.name}: a linear probe on its features gets {got}{against}{more}"


def _with_error(probe: Judged) -> str:
    return f"{probe.score:.3f} ± {probe.standard_error:.3f}"


def _cut_reason(option: Option, options: Sequence[Option]) -> str:
    depths, last = option.teacher_scores.depths, option.teacher_scores.last.probe
    by_depth = ", ".join(f"{depth.where} {depth.probe.score:.3f}" for depth in depths)
    if option.method == "feature_extraction" and _is_saturated(option.teacher_scores):
        return (
            f"method feature_extraction: a probe on the last features gets {last.in_sentence(_with_error(last))}, which leaves "
            f"fine-tuning nothing to gain; the probe by depth: {by_depth}"
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


def _epochs_reason(option: Option, config: TransferConfig, sample: Sample) -> str:
    examples, noun = len(sample.splits.train), sample.source.noun
    steps = FEWEST_STEPS["head" if option.method == "feature_extraction" else "fine-tuning"]
    size = "small" if examples < _SMALL_TASK else "larger"
    published = f"BiT-HyperRule trains 500 on a {size} task, below {_SMALL_TASK:,} images"
    if noun == "text":
        published = "Devlin et al. 2019 fine-tune BERT for two to four epochs"
    fewest = f"at least {steps} steps; {published}"
    return f"epochs: {config.training.epochs}, by the {examples} training {noun}s ({fewest})"


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
