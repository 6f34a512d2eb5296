"""Implements `train --method=auto` and `--resize=auto`: the user chooses the teacher, the images decide method, cut and view."""

from __future__ import annotations

import os

from tl_keras.advice.advisor import advise
from tl_keras.advice.candidates import Candidate
from tl_keras.advice.trials import recipes_for
from tl_keras.advice.view import with_measured_view
from tl_keras.config import TransferConfig, choose_cut, from_json, to_json
from tl_keras.config.options import set_value, value_of
from tl_keras.console import say
from tl_keras.errors import ConfigError
from tl_keras.runs.directory import RunDirectory
from tl_keras.runs.reasons import write_decisions
from tl_keras.training.model_cache import ModelCache


def with_decisions(
    config: TransferConfig, workdir: str | os.PathLike[str], *, models: ModelCache | None = None
) -> TransferConfig:
    """Returns the config with what is `auto` filled in: the view, or method and cut, with a view that is left open.

    Args:
      config: Config whose method or `resize` is `auto`.
      workdir: Directory of the run, whose earlier decisions stay.
      models: Cache to pass to the run as well, so that the images are inspected only once.

    Raises:
      ConfigError: The config also chooses a cut.
      TransferError: The advice failed.
    """
    decide = with_advised_method if config.model.method == "auto" else with_measured_view
    return decide(config, workdir, models=models)


def with_advised_method(
    config: TransferConfig, workdir: str | os.PathLike[str], *, models: ModelCache | None = None
) -> TransferConfig:
    """Returns the config with method, cut and an open view filled in, from the run begun in `workdir` or else from the advice.

    Args:
      config: Config whose method is `auto`.
      workdir: Directory of the run.
      models: Cache to pass to the run as well, so that the images are inspected only once.

    Raises:
      ConfigError: The config also chooses a cut.
      TransferError: The advice failed.
    """
    if config.model.unfreeze or config.model.unfreeze_schedule:
        raise ConfigError(
            "unfreeze: method auto chooses the cut. Received: "
            f"{config.model.unfreeze or config.model.unfreeze_schedule}. Use --method=fine_tune, or leave it out."
        )
    decided = from_json(to_json(config))
    if begun := RunDirectory(workdir).read_config():
        as_begun = from_json(begun["config"])
        choose_cut(decided.model, as_begun.model.unfreeze)
        decided.model.method, decided.model.resize = as_begun.model.method, as_begun.model.resize
        return _with_recipe_of(as_begun, decided)
    teacher = Candidate(config.model.backbone, config.model.weights, config.model.alpha)
    advice = advise(config, [teacher], measure_time=False, try_recipes=True, models=models)
    recommendation = advice.recommendation
    choose_cut(decided.model, recommendation.option.unfreeze)
    decided.model.resize = recommendation.config.model.resize
    low, high = recommendation.option.interval
    say(f"auto: {recommendation.reasons[1]}; accuracy to expect {low:.2f} to {high:.2f}")
    decisions = [recommendation.reasons[1], *recommendation.measured]
    for reason in recommendation.measured:
        say(f"auto: {reason}")
    write_decisions(RunDirectory(workdir), decisions)
    return _with_recipe_of(recommendation.config, decided)


def _with_recipe_of(decided: TransferConfig, config: TransferConfig) -> TransferConfig:
    """Returns a config with the rate and the augmentation of another, where it leaves them open."""
    config = from_json(to_json(config))
    for recipe in recipes_for(config):
        for name in recipe.changes:
            set_value(config, name, value_of(decided, name))
    return config
