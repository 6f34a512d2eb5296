"""Announces what a run is going to do and why, in a few sentences before it trains."""

from __future__ import annotations

from tl_keras.backbones.preprocessing import Preprocess
from tl_keras.config import CAUTIOUS_CUT, TrainingConfig
from tl_keras.console import number_of
from tl_keras.training.phases import Phase
from tl_keras.training.preparation import PreparedRun

# AdamW at 1e-3 took fine-tuned students of ten photos per class from 0.69 to 0.53, at 3e-4 to 0.71 (benchmarks/DIARY.md).
_SAFE_RATE = 3e-4

_REASONS = {
    "replicate": "the architecture alone is kept, its weights are random: the measure of what transfer is worth",
    "feature_extraction": "only the new head is trained: right where the new images resemble the teacher's or are few",
    "fine_tune": "the head first, then the teacher's layers at a small rate: right where the new images differ",
}


def announcement(prepared: PreparedRun, *, refit_on: int = 0, measured_by_folds: bool = False) -> str:
    """Returns what the run is going to do and why: a line for teacher and method, phases, images, and each caution.

    Args:
      prepared: The run.
      refit_on: Number of images on which training begins again in the end, or 0.
      measured_by_folds: Whether the images that train are those of validation too, because the models of folds have measured them.
    """
    config, teacher, splits = prepared.config, prepared.student.teacher, prepared.splits
    hardware, method = prepared.hardware, config.model.method
    steps = " Then ".join(
        f"{phase.name}: {number_of(phase.epochs, 'epoch')} at {_rate_in_words(config.training, phase)}, "
        f"{phase.plan.describe()}."
        for phase in prepared.phases
    )
    measured = "all of which the folds have measured" if measured_by_folds else f"{len(splits.validation)} validation"
    lines = [
        f"teacher {teacher.describe()}, {_input_of(teacher.preprocess)}; method {method}: {_REASONS[method]}.",
        f"{steps[0].upper()}{steps[1:]}",
        f"{prepared.source.noun}s: {len(prepared.images.labelled)} train, {measured}, "
        f"{len(splits.test)} test. Device: {hardware.description}, because {hardware.reason}.",
        *([_refit(prepared, refit_on)] if refit_on else []),
        *_distillation(prepared),
        *([f"{given.describe()}."] if (given := prepared.images.pseudo_labels) else []),
        *_cautions(prepared),
    ]
    return "\n".join(lines)


def _rate_in_words(training: TrainingConfig, phase: Phase) -> str:
    """Returns the peak rate of a phase, which is not known yet if a range test is going to find it."""
    if not training.find_learning_rate:
        return f"{training.learning_rate * phase.rate_factor:.2g}"
    return "the rate that a range test finds" if phase.rate_factor == 1 else f"{phase.rate_factor:.2g} of that rate"


def _refit(prepared: PreparedRun, images: int) -> str:
    """Returns a sentence on the training on the images of training and validation."""
    noun = prepared.source.noun
    few = number_of(len(prepared.splits.validation), noun)
    return (
        f"Validation has {few}, too few to tell much: in the end training begins again on all {images} {noun}s of training "
        f"and validation, and the test {noun}s measure that model; --refit=off saves the time."
    )


def _distillation(prepared: PreparedRun) -> list[str]:
    """Returns a sentence on what is learnt of a teacher run, if there is one."""
    teacher_run, options, views = prepared.teacher_run, prepared.config.distillation, prepared.views_per_image
    if teacher_run is None:
        return []
    beside, added = len(prepared.images.distilled), ""
    if beside:
        what = "image" if options.unlabelled else "mixture"
        added = f", for {number_of(beside, what)} {'without labels' if options.unlabelled else 'of two training images'} too"
    seen = "to the views that the student sees" if views else "to the plain images"
    return [
        f"teacher run {teacher_run.path}: its answers {seen} are {options.weight:.0%} of the loss{added}, at temperature "
        f"{options.temperature:g}."
    ]


def freeze_table(prepared: PreparedRun) -> str:
    """Returns the freeze plan of the last phase as a table."""
    config, plan = prepared.config, prepared.phases[-1].plan
    return plan.table(layer_decay=config.training.layer_decay, batch_norm=config.model.batch_norm)


def _input_of(preprocess: Preprocess) -> str:
    """Returns the size of the network's input, in pixels, or in tokens of a text."""
    return f"{preprocess.image_size} px" if preprocess.image_size else preprocess.describe()


def _cautions(prepared: PreparedRun) -> list[str]:
    """Returns a sentence for each decision that may surprise."""
    config, student, hardware = prepared.config, prepared.student, prepared.hardware
    method, random_weights = config.model.method, student.teacher.weights == "none"
    cautions = []
    head, *later = prepared.phases
    counted = sum(phase.epochs for phase in later)
    if prepared.head_left_open and head.epochs > counted > 0:  # who chose none or both is not surprised
        cautions.append(
            f"epochs: {number_of(counted, 'epoch')} of fine-tuning (--epochs), and before them {head.epochs} of the head on "
            "frozen layers (--head_epochs)."
        )
    if random_weights and method != "replicate":
        cautions.append(f"weights=none: {method} from random weights transfers nothing; use it to test only.")
    if student.plan.note and config.model.unfreeze != CAUTIOUS_CUT:  # the default, which nobody has asked for
        cautions.append(f"{student.plan.note}.")
    rate = config.training.learning_rate * prepared.phases[-1].rate_factor
    is_known = not config.training.find_learning_rate
    if method == "fine_tune" and is_known and rate > 1.01 * _SAFE_RATE and not random_weights:
        cautions.append(
            f"learning rate: {rate:.2g} may erase what the teacher has learnt; 1e-5 to {_SAFE_RATE:g} is safe "
            "for pre-trained layers (--learning_rate, --config.training.fine_tune_learning_rate_factor)."
        )
    if hardware.precision != "float32":
        slow = " Slow on a CPU without AMX or AVX512-BF16: --precision=float32." if hardware.device == "cpu" else ""
        cautions.append(
            "precision: the backbone trains in bfloat16; weights, head and loss, and all that is measured afterwards and "
            f"exported, are float32.{slow}"
        )
    if advice := hardware.scaling_rule(config.training.global_batch_size, config.training.learning_rate):
        cautions.append(advice)
    return cautions
