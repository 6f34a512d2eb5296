"""Implements `train --backbone=auto`, `--method=auto` and `--resize=auto`: the images decide teacher, method and cut, or view."""

from __future__ import annotations

import os

from tl_keras.advice.advisor import Advice, advise
from tl_keras.advice.candidates import Candidate, candidates_at_hand
from tl_keras.advice.trials import recipes_for
from tl_keras.advice.view import with_measured_view
from tl_keras.config import ModelConfig, TransferConfig, choose_cut, from_json, to_json
from tl_keras.config.model_fields import OF_THE_MAP
from tl_keras.config.options import set_value, value_of
from tl_keras.console import say
from tl_keras.data.options import SourceOptions
from tl_keras.data.table_source import noun_of
from tl_keras.errors import ConfigError
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.folds import read_begun_config
from tl_keras.runs.reasons import write_decisions
from tl_keras.training.model_cache import ModelCache
from tl_keras.training.preparation import for_its_inputs
from tl_keras.training.time_left import duration


def with_decisions(
    config: TransferConfig,
    workdir: str | os.PathLike[str],
    *,
    budget_seconds: float = 0.0,
    models: ModelCache | None = None,
) -> TransferConfig:
    """Returns the config with what is `auto` filled in: the view, or teacher, method and cut, with a view that is left open.

    Args:
      config: Config whose backbone, method or `resize` is `auto`.
      workdir: Directory of the run, whose earlier decisions stay.
      budget_seconds: Time for advice and training together; 0 for any time.
      models: Cache to pass to the run as well, so that the images are inspected only once.

    Raises:
      ConfigError: The config also chooses a cut, or weights for a teacher that it leaves open.
      TransferError: The advice failed.
    """
    if "auto" in (config.model.backbone, config.model.method):
        return with_advised_method(config, workdir, budget_seconds=budget_seconds, models=models)
    return with_measured_view(config, workdir, models=models)


def with_advised_method(
    config: TransferConfig,
    workdir: str | os.PathLike[str],
    *,
    budget_seconds: float = 0.0,
    models: ModelCache | None = None,
) -> TransferConfig:
    """Returns the config with teacher, method, cut and view filled in where open, from the run in `workdir` or the advice.

    A method that the user chooses stays; of the teachers at hand that one is taken which promises most with it.

    Args:
      config: Config whose backbone or method is `auto`.
      workdir: Directory of the run.
      budget_seconds: Time for advice and training together; 0 for any time.
      models: Cache to pass to the run as well, so that the images are inspected only once.

    Raises:
      ConfigError: The config also chooses a cut, or weights for a teacher that it leaves open.
      TransferError: The advice failed.
    """
    choose_teacher, choose_method = config.model.backbone == "auto", config.model.method == "auto"
    _require_weights_left_open(config)
    if choose_method and (config.model.unfreeze or config.model.unfreeze_schedule):
        raise ConfigError(
            "unfreeze: method auto chooses the cut. Received: "
            f"{config.model.unfreeze or config.model.unfreeze_schedule}. Use --method=fine_tune, or leave it out."
        )
    decided = from_json(to_json(config))
    if begun := read_begun_config(RunDirectory(workdir)):
        as_begun = from_json(begun["config"])
        if choose_teacher:
            known = as_begun.model
            decided.model = Candidate(known.backbone, known.weights, known.alpha).choose(decided.model)
        for name in ("resize", *OF_THE_MAP):
            setattr(decided.model, name, getattr(as_begun.model, name))
        if not choose_method:
            return decided
        choose_cut(decided.model, as_begun.model.unfreeze)
        decided.model.method = as_begun.model.method
        return _with_recipe_of(as_begun, decided)
    noun = noun_of(config.data.source, SourceOptions.of(config))
    advice = advise(
        config,
        candidates_at_hand(noun) if choose_teacher else [_named_teacher(config)],
        method=None if choose_method else config.model.method,
        budget_seconds=budget_seconds,
        measure_time=False,
        try_recipes=choose_method,
        models=models,
    )
    recommendation = advice.recommendation
    decided.model = recommendation.option.candidate.choose(decided.model)
    for name in ("resize", *OF_THE_MAP):
        setattr(decided.model, name, getattr(recommendation.config.model, name))
    reasons = [
        reason
        for reason, is_open in zip(recommendation.reasons, (choose_teacher, choose_method), strict=False)
        if is_open
    ]
    low, high = recommendation.option.interval
    score = recommendation.option.teacher_scores.last.probe.score_name
    say(f"auto: {'; '.join(reasons)}; {score} to expect {low:.2f} to {high:.2f}")
    _say_what_the_budget_left_out(advice, budget_seconds)
    decisions = [*reasons, *recommendation.measured]
    for reason in recommendation.measured:
        say(f"auto: {reason}")
    write_decisions(RunDirectory(workdir), decisions)
    if not choose_method:
        return decided
    choose_cut(decided.model, recommendation.config.model.unfreeze)
    return _with_recipe_of(recommendation.config, decided)


def _say_what_the_budget_left_out(advice: Advice, budget_seconds: float) -> None:
    """Says if no run fits the budget, and which teachers were not tried."""
    if budget_seconds and advice.time and advice.seconds + advice.time.seconds > budget_seconds:
        say(
            f"auto: no run that was rehearsed fits the budget of {duration(budget_seconds)}; the shortest of them is taken, about "
            f"{duration(advice.time.seconds)} after {duration(advice.seconds)} of advice"
        )
    if advice.skipped:
        say(f"auto: not tried because of the budget: {', '.join(candidate.name for candidate in advice.skipped)}")


def _named_teacher(config: TransferConfig) -> Candidate:
    """Returns the teacher of a config; for texts the default one of images stands for that of texts."""
    model = for_its_inputs(config).model
    return Candidate(model.backbone, model.weights, model.alpha)


def _require_weights_left_open(config: TransferConfig) -> None:
    """Raises a ConfigError if weights or a width are chosen for a teacher that is not."""
    model, default = config.model, ModelConfig()
    chosen = [name for name in ("weights", "alpha") if getattr(model, name) != getattr(default, name)]
    if model.backbone == "auto" and chosen:
        raise ConfigError(
            f"{chosen[0]}: backbone auto chooses among the teachers at hand. Received: {getattr(model, chosen[0])}. "
            f"Leave {chosen[0]} out, or name the backbone."
        )


def _with_recipe_of(decided: TransferConfig, config: TransferConfig) -> TransferConfig:
    """Returns a config with what recipes change as another has it, where it leaves that open."""
    config = from_json(to_json(config))
    for recipe in recipes_for(config):
        for name in recipe.changes:
            set_value(config, name, value_of(decided, name))
    return config
