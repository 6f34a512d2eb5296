"""Advises on a run: which teacher, which method and which cut, with the evidence."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from typing import Any

from tl_keras.advice.candidates import Candidate
from tl_keras.advice.map_choice import best_map
from tl_keras.advice.recommendation import Option, Recommendation, ranked, recommend
from tl_keras.advice.teacher_scores import Sample, TeacherScores, draw_sample, score_teacher
from tl_keras.advice.time_estimate import TimeEstimate, estimate_time
from tl_keras.advice.trials import (
    TIME_IN_RUNS,
    measure_recipes,
    recipes_for,
    those_that_differ,
)
from tl_keras.advice.view import best_view
from tl_keras.config import ModelConfig, TransferConfig, from_json, to_json, validate
from tl_keras.config.choices import Method
from tl_keras.console import say
from tl_keras.distribution.keras_settings import with_own_keras_settings
from tl_keras.errors import ConfigError, DataError
from tl_keras.probes.alternatives import choose
from tl_keras.probes.alternatives import describe as describe_alternatives
from tl_keras.training.image_remarks import say_once
from tl_keras.training.model_cache import ModelCache

# Parts of the time for advice and training after which no further teacher is scored, and no further run rehearsed.
_FOR_ADVICE, _FOR_REHEARSALS = 0.3, 0.5


@dataclasses.dataclass(frozen=True)
class Advice:
    """The evidence, and the recommendation that follows from it.

    Attributes:
      teacher_scores: Scores of each teacher that was tried.
      skipped: Teachers that were not tried because of the budget.
      options: Options of all teachers, the one to choose first.
      recommendation: The recommended option, with its config and command.
      time: Estimate for the recommended run; None if none was requested.
      too_long: Options that were rejected because they take longer, with their estimated seconds.
      images: Number of training images that were used.
      training_images: Number of images that the run trains on.
      seconds: Duration of the advice.
      noun: Word for what is learnt from, `image` or `text`.
    """

    teacher_scores: tuple[TeacherScores, ...]
    skipped: tuple[Candidate, ...]
    options: tuple[Option, ...]
    recommendation: Recommendation
    time: TimeEstimate | None
    too_long: tuple[tuple[Option, float], ...]
    images: int
    training_images: int
    seconds: float
    noun: str = "image"

    def to_json(self) -> dict[str, Any]:
        """Returns the advice as JSON values."""
        return {
            "images": self.images,
            "teachers": [_evidence_as_json(each) for each in self.teacher_scores],
            "skipped": [candidate.name for candidate in self.skipped],
            "options": [
                {
                    "teacher": option.candidate.name,
                    "method": option.method,
                    "unfreeze": option.unfreeze,
                    "accuracy": option.accuracy,
                    "interval": list(option.interval),
                }
                for option in self.options
            ],
            "recommended": {
                "teacher": self.recommendation.option.candidate.name,
                "unfreeze": self.recommendation.option.unfreeze,
                "reasons": [*self.recommendation.reasons, *self.recommendation.measured],
                "command": self.recommendation.command,
            },
            "seconds_of_training": None if self.time is None else self.time.seconds,
            "seconds": self.seconds,
        }


@with_own_keras_settings
def advise(
    config: TransferConfig,
    candidates: Sequence[Candidate],
    *,
    method: Method | None = None,
    budget_seconds: float = 0.0,
    measure_time: bool = True,
    try_recipes: bool = False,
    models: ModelCache | None = None,
) -> Advice:
    """Scores every candidate once, and recommends a run.

    A view (`model.resize`) that is left open is measured with the first candidate. Of a single candidate its finer maps are too
    (`model.output_stride`), unless one is chosen.
    Accuracy is estimated from training images alone; some others are computed for the cache and to measure their time.

    Args:
      config: Config of the run to advise on; its teacher, method, cut, rates and length are replaced.
      candidates: Teachers, in the order in which they are scored.
      method: Method of the run: only options of it are ranked; None for the one that promises most.
      budget_seconds: Time for advice and training together; 0 for any time.
      measure_time: Whether to estimate the time of the recommended run by short epochs.
      try_recipes: Whether a few recipes of fine-tuning are tried out of fold, where the recommended run fine-tunes and the
        budget allows it. It takes one to two times as long as the run.
      models: Cache to pass to the run as well, so that the images are inspected only once.

    Raises:
      ConfigError: There is no candidate, or the config cannot work.
      DataError: The images cannot be used.
      BackboneError: The weights of a candidate cannot be loaded.
    """
    began = time.perf_counter()
    _require_advisable(config, candidates)
    models = models or ModelCache()
    sample = draw_sample(config, models)
    say_once((*sample.source.notes, *sample.inspection.findings), sample.inspection, models)
    is_text = sample.source.noun == "text"
    shown, reasons = (config, ()) if is_text else _shown_best(candidates, config, sample, models)
    chooses_cut = method in (None, "fine_tune")  # else shallower features cost time alone
    teacher_scores: list[TeacherScores] = []
    for candidate in candidates:
        if teacher_scores and 0 < budget_seconds * _FOR_ADVICE < time.perf_counter() - began:
            break
        teacher_scores.append(score_teacher(candidate, shown, sample, every_depth=chooses_cut))
        say(f"scored {candidate.name} in {teacher_scores[-1].seconds:.0f} s")
    options = ranked(teacher_scores, method)
    recommendations = [recommend(option, options, shown, sample) for option in options]
    recommendation, estimate = recommendations[0], None
    too_long: tuple[tuple[Option, float], ...] = ()
    if measure_time or budget_seconds:
        deadline, latest = (
            began + part * budget_seconds if budget_seconds else math.inf for part in (1, _FOR_REHEARSALS)
        )
        recommendation, estimate, too_long = _first_in_time(recommendations, sample, deadline, latest=latest)
    for reason in reasons:
        recommendation = recommendation.with_reason(reason)
    if try_recipes and not is_text and recommendation.option.method == "fine_tune":
        left = budget_seconds - (time.perf_counter() - began) if budget_seconds else math.inf
        seconds = estimate.seconds if estimate else None
        recommendation = _with_best_recipe(recommendation, config, sample, models, seconds=seconds, left=left)
    return Advice(
        teacher_scores=tuple(teacher_scores),
        skipped=tuple(candidates[len(teacher_scores) :]),
        options=options,
        recommendation=recommendation,
        time=estimate,
        too_long=too_long,
        images=len(sample.indices),
        training_images=len(sample.splits.train),
        seconds=time.perf_counter() - began,
        noun=sample.source.noun,
    )


def _shown_best(
    candidates: Sequence[Candidate], config: TransferConfig, sample: Sample, models: ModelCache
) -> tuple[TransferConfig, tuple[str, ...]]:
    """Returns the config with view and map where they are left open, and the reasons."""
    model, reasons = config.model, list[str]()
    if model.resize in ("", "auto"):
        resize, reason = best_view(candidates[0], config, sample)
        model = dataclasses.replace(model, resize=resize)
        reasons.append(reason)
    if len(candidates) == 1 and not model.output_stride:  # of several teachers some lack the map of another
        changes, more = best_map(candidates[0], dataclasses.replace(config, model=model), sample, models)
        model = dataclasses.replace(model, **changes)
        reasons += more
    return dataclasses.replace(config, model=model), tuple(reasons)


def _require_advisable(config: TransferConfig, candidates: Sequence[Candidate]) -> None:
    """Raises a ConfigError if there is no candidate, or the config cannot work."""
    if not candidates:
        raise ConfigError(
            "candidates: expected at least one teacher. Received none, and no ImageNet weights are in KERAS_HOME. "
            "Use --candidates=MobileNetV2, which is downloaded."
        )
    validate(dataclasses.replace(config, model=ModelConfig()))


def _first_in_time(
    recommendations: Sequence[Recommendation], sample: Sample, deadline: float, *, latest: float
) -> tuple[Recommendation, TimeEstimate, tuple[tuple[Option, float], ...]]:
    """Estimates one recommendation after the other until one fits the time; else takes the shortest of those that were estimated.

    Args:
      recommendations: Recommendations, the best first.
      sample: Sample of the images.
      deadline: Time at which the run has to be over, by `time.perf_counter`.
      latest: Time after which no further one is estimated.

    Returns:
      The recommendation, its time, and the options that promise more but take too long, with their seconds.
    """
    rehearsed: list[tuple[Recommendation, TimeEstimate]] = []
    for recommendation in recommendations:
        estimate = estimate_time(recommendation.config, sample)
        rehearsed.append((recommendation, estimate))
        now = time.perf_counter()
        if now + estimate.seconds <= deadline or now > latest:
            break
    in_time = now + estimate.seconds <= deadline
    chosen = rehearsed[-1] if in_time else min(rehearsed, key=lambda pair: pair[1].seconds)
    others = tuple((each.option, took.seconds) for each, took in rehearsed if each is not chosen[0])
    return *chosen, others


def _with_best_recipe(
    recommendation: Recommendation,
    config: TransferConfig,
    sample: Sample,
    models: ModelCache,
    *,
    seconds: float | None,
    left: float,
) -> Recommendation:
    """Tries the recipes of fine-tuning that the user's config leaves open, and returns the recommendation with the best one.

    Args:
      recommendation: Recommended run, which fine-tunes.
      config: The user's config.
      sample: Sample of the images.
      models: Cache of networks and traced steps, which the run may use after the trials.
      seconds: Time of the run; None if it was not estimated.
      left: Seconds of the budget that are left for trials and run.
    """
    of_run = from_json(to_json(recommendation.config))
    of_run.data.augmentation = config.data.augmentation or of_run.data.augmentation
    of_run.training.epochs = config.training.epochs or of_run.training.epochs
    of_run.training.head_epochs = config.training.head_epochs or of_run.training.head_epochs
    recipes = those_that_differ(recipes_for(config), of_run)
    if (seconds or 0.0) * (1 + TIME_IN_RUNS) > left:
        return recommendation.with_reason("recipe: the usual one, because the budget leaves no time to try others")
    if len(recipes) == 1:
        return recommendation
    about = f", at most about {seconds * TIME_IN_RUNS:.0f} s" if seconds else ""
    say(
        f"trying {len(recipes)} ways to fine-tune on one half of the training images, the best two on the other too{about}"
    )
    try:
        measured = measure_recipes(of_run, sample, recipes, models=models)
    except DataError as error:
        return recommendation.with_reason(f"recipe: the usual one, because none can be tried on halves ({error})")
    chosen = choose(measured)
    reason = describe_alternatives(measured, chosen, measured="fine-tuning one half of the images and asking the other")
    best = recipes[measured.index(chosen)]
    if best.changes:
        reason += f"; so this decides {best.decides}, whatever was said of it before"
    return recommendation.with_recipe(best.applied_to(recommendation.config), f"recipe: {reason}")


def describe(advice: Advice) -> str:
    """Returns the evidence, the recommendation and the command, for people."""
    best = advice.recommendation.option
    low, high = best.interval
    lines = [
        f"used {advice.images} training {advice.noun}s, in {advice.seconds:.0f} s; no validation or test {advice.noun} was scored",
        "",
    ]
    for teacher_scores in advice.teacher_scores:
        lines += [*_depth_table(teacher_scores), *_closeness_lines(teacher_scores), ""]
    expectation = f"{best.teacher_scores.last.probe.score_name} to expect"
    width = max(20, len(expectation))
    lines.append(f"{'teacher':<23} {'method':<19} {'unfreeze':<14} {expectation:>{width}}")
    for option in advice.options:
        a, b = option.interval
        expected = f"{option.accuracy:.3f} ({a:.2f} to {b:.2f})"
        lines.append(f"{option.candidate.name:<23} {option.method:<19} {option.unfreeze:<14} {expected:>{width}}")
    lines += [
        "",
        f"recommended: {best.candidate.name}, {best.method}{'' if best.unfreeze == 'none' else f', {best.unfreeze}'}",
    ]
    lines += [f"- {reason}" for reason in (*advice.recommendation.reasons, *advice.recommendation.measured)]
    lines.append(f"- {expectation}: {best.accuracy:.3f}, two standard errors {low:.2f} to {high:.2f}")
    if advice.time is not None:
        lines.append(
            f"- time: about {advice.time.seconds:.0f} s on this machine as busy as it is now, start and export aside "
            f"(rehearsed in {advice.time.rehearsal_seconds:.0f} s)"
        )
    lines += [
        f"- takes too long: {o.candidate.name} {o.unfreeze}, about {seconds:.0f} s" for o, seconds in advice.too_long
    ]
    if advice.skipped:
        lines.append(f"- not tried because of the budget: {', '.join(candidate.name for candidate in advice.skipped)}")
    lines += ["", advice.recommendation.command]
    return "\n".join(lines)


def _depth_table(teacher_scores: TeacherScores) -> list[str]:
    lines = [
        ", ".join(
            [
                teacher_scores.candidate.name,
                *([f"{teacher_scores.image_size} px"] if teacher_scores.image_size else []),
                f"{teacher_scores.parameters:,} parameters",
            ]
        ),
        f"  {'features after':<16}{'linear probe':>16}{'5 neighbours':>14}{'LogME':>8}{'H-score':>9}",
    ]
    for depth in teacher_scores.depths:
        probe = f"{depth.probe.score:.3f} ± {depth.probe.standard_error:.3f}"
        others = "".join(
            f"{'-' if value is None else format(value, digits):>{width}}"
            for value, width, digits in (
                (depth.neighbours, 14, ".3f"),
                (depth.log_me, 8, ".3f"),
                (depth.h_score, 9, ".2f"),
            )
        )
        lines.append(f"  {depth.where:<16}{probe:>16}{others}")
    return lines


def _closeness_lines(teacher_scores: TeacherScores) -> list[str]:
    closeness = teacher_scores.closeness
    if not teacher_scores.image_size or teacher_scores.last.neighbours is None:
        return []
    if closeness is None:
        return ["  its own classes: not shown, its top is not at hand"]
    lines = [f"  LEEP {closeness.leep:.3f}, NCE {closeness.nce:.3f} nats; what it takes the new classes for:"]
    for name, seen in closeness.seen.items():
        lines.append(f"    {name}: {', '.join(f'{answer} {share:.0%}' for answer, share in seen)}")
    return lines


def _evidence_as_json(teacher_scores: TeacherScores) -> dict[str, Any]:
    return {
        "teacher": teacher_scores.candidate.name,
        "image_size": teacher_scores.image_size,
        "seconds": teacher_scores.seconds,
        "depths": [
            {
                "unfreeze": depth.unfreeze,
                "where": depth.where,
                "probe_accuracy": depth.probe.score,
                "probe_standard_error": depth.probe.standard_error,
                "neighbours": depth.neighbours,
                "log_me": depth.log_me,
                "h_score": depth.h_score,
            }
            for depth in teacher_scores.depths
        ],
        "closeness": None if teacher_scores.closeness is None else dataclasses.asdict(teacher_scores.closeness),
    }
