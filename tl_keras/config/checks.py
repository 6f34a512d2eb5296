"""Checks whether a config can work: each option by its description, then options that contradict each other."""

from __future__ import annotations

import dataclasses
from typing import Any

from tl_keras.config.choices import EXPECTED_SOURCE, label_kind_of, losses_of, tasks_with
from tl_keras.config.cuts import method_of_cut
from tl_keras.config.defaults import FIXED_CUTS
from tl_keras.config.fields import TransferConfig
from tl_keras.config.options import options_of, value_of
from tl_keras.config.parsing import parse_optimizer, parse_schedule, rate_of_optimizer
from tl_keras.errors import ConfigError


def check_options(config: TransferConfig) -> None:
    """Raises a TransferError that names the first option whose value has the wrong type or is out of range.

    Raises:
      TransferError: There is one.
    """
    _require_parts(config)
    for option in options_of(TransferConfig):
        option.check(value_of(config, option.path))


def validate(config: TransferConfig) -> None:
    """Raises a TransferError that names the first option with which the config cannot work.

    Looks at no file and loads nothing.

    Raises:
      TransferError: There is one.
    """
    check_options(config)
    for check in (
        _check_source,
        _check_fractions,
        _check_method,
        _check_backbone,
        _check_view,
        _check_cut,
        _check_head,
        _check_class_order,
        _check_schedule,
        _check_decision,
        _check_loss,
        _check_optimizer,
        _check_lora,
        _check_distillation,
    ):
        check(config)


def _require_parts(values: Any) -> None:
    for field in dataclasses.fields(values):
        if isinstance(field.type, type) and dataclasses.is_dataclass(field.type):
            part = getattr(values, field.name)
            if not isinstance(part, field.type):
                raise ConfigError(
                    f"{field.name}: expected a {field.type.__name__}. Received: {str(part)!r:.100}, which is "
                    f"{type(part).__name__}. Use tl_keras.config.{field.type.__name__}()."
                )


def _check_source(config: TransferConfig) -> None:
    if not config.data.source:
        raise ConfigError(f"data: expected {EXPECTED_SOURCE}. Received nothing. Use --data=photos/.")


def _check_fractions(config: TransferConfig) -> None:
    held_out = config.data.validation_fraction + config.data.test_fraction
    if not held_out < 1:
        raise ConfigError(
            "validation_fraction + test_fraction: expected below 1, so that something is left to train on. "
            f"Received: {held_out:g}. Use smaller ones."
        )


def _check_method(config: TransferConfig) -> None:
    if config.model.method == "auto":
        raise ConfigError(
            "method: expected a method that is decided. Received: auto, which python -m tl_keras.train and advise decide. "
            "Use --method=fine_tune."
        )


def _check_backbone(config: TransferConfig) -> None:
    if config.model.backbone == "auto":
        raise ConfigError(
            "backbone: expected a teacher that is decided. Received: auto, which python -m tl_keras.train decides. "
            "Use --backbone=MobileNetV2, or leave it out."
        )


def _check_view(config: TransferConfig) -> None:
    if config.model.resize == "auto":
        raise ConfigError(
            "resize: expected a rule that is decided. Received: auto, which python -m tl_keras.train decides. "
            "Use --resize=squash, or leave it out."
        )


def _check_cut(config: TransferConfig) -> None:
    method, unfreeze = config.model.method, config.model.unfreeze
    fixed = FIXED_CUTS.get(method)
    if fixed and unfreeze not in ("", fixed):
        raise ConfigError(
            f"unfreeze: method {method} always has unfreeze={fixed}. Received: {unfreeze}. "
            "Use --method=fine_tune to choose the cut."
        )
    if unfreeze and not fixed and method_of_cut(unfreeze) != method:
        raise ConfigError(
            f"unfreeze: {method} trains some layers of the teacher. Received: {unfreeze}. "
            f"Use --method={method_of_cut(unfreeze)} to train only the head, or --unfreeze=blocks:2."
        )


def _check_decision(config: TransferConfig) -> None:
    decision = config.decision
    if decision.given and label_kind_of(config.task) != "class":
        raise ConfigError(
            "decision: positive, costs and refusals decide between classes of one label per image. Received: task "
            f"{config.task}. Leave them out."
        )
    together = {"positive": decision.positive, "costs": decision.costs}
    pairs = ({"min_precision": decision.min_precision, "min_recall": decision.min_recall}, together)
    for pair in (*pairs, {"refuse_below": decision.refuse_below, "min_accuracy": decision.min_accuracy}):
        if all(pair.values()):
            raise ConfigError(
                f"{next(iter(pair))}: expected one of {' and '.join(pair)}. Received: both. Leave one out."
            )
    if (decision.min_precision or decision.min_recall) and not decision.positive:
        asked = "min_precision" if decision.min_precision else "min_recall"
        raise ConfigError(f"{asked}: expected the class that it is asked of. Received: none. Use --positive=CLASS.")


def _check_loss(config: TransferConfig) -> None:
    training, kind = config.training, label_kind_of(config.task)
    known = losses_of(config.task)
    if training.loss and training.loss not in known:
        task = "single_label" if config.task == "auto" else config.task
        expected = f"expected one of {', '.join(known)}" if known else "expected none"
        raise ConfigError(
            f"loss: {expected} for task {task}. Received: {training.loss}, which is for "
            f"{' and '.join(tasks_with(training.loss))}. Leave it out, or choose the task: --task={tasks_with(training.loss)[0]}."
        )
    balanced = {
        "class_weights=balanced": training.class_weights == "balanced",
        "sampling=balanced": training.sampling == "balanced",
        "loss=logit_adjustment": training.loss == "logit_adjustment",
    }
    chosen = [name for name, is_chosen in balanced.items() if is_chosen]
    if len(chosen) > 1:
        raise ConfigError(
            f"{chosen[0]}: expected one remedy for rare classes, since two would count them double. Received: "
            f"{' and '.join(chosen)}. Leave one out."
        )
    if training.label_smoothing and kind == "numbers":
        raise ConfigError(
            f"label_smoothing: expected 0 for task {config.task}. Received: {training.label_smoothing:g}. Numbers have no classes; "
            "leave it out."
        )
    if chosen and kind == "numbers":
        raise ConfigError(
            f"{chosen[0]}: expected none for task {config.task}. Received: balanced. Numbers have no classes; leave it out."
        )


def _check_head(config: TransferConfig) -> None:
    """Raises a ConfigError if options of the head are chosen beside layers that replace it."""
    model, usual = config.model, type(config.model)()
    if not model.head_layers:
        return
    chosen = {
        "head": model.head != usual.head,
        "head_units": model.head_units != usual.head_units,
        "dropout": model.dropout not in (0, usual.dropout),
    }
    if names := [name for name, is_chosen in chosen.items() if is_chosen]:
        raise ConfigError(
            f"{names[0]}: expected none beside head_layers, which stand in place of head and dropout. Received: "
            f"{getattr(model, names[0])}. Leave {names[0]} out, or add such a layer to head_layers."
        )


def _check_class_order(config: TransferConfig) -> None:
    if config.data.class_order and label_kind_of(config.task) != "order":
        raise ConfigError(
            f"class_order: expected for task ordinal, whose classes have an order. Received: task {config.task}. Use "
            "--task=ordinal, or leave class_order out."
        )


def _check_schedule(config: TransferConfig) -> None:
    model = config.model
    if model.unfreeze_schedule:
        stages = parse_schedule(model.unfreeze_schedule, config.training.epochs)  # which needs --epochs
        if model.method != "fine_tune" or model.unfreeze not in ("", stages[-1][0]):
            raise ConfigError(
                "unfreeze_schedule: stands in place of unfreeze, in method fine_tune. Received: "
                f"method {model.method}, unfreeze={model.unfreeze or 'nothing'}. Leave one of them out."
            )


def _check_lora(config: TransferConfig) -> None:
    if config.model.lora_rank and config.model.method != "fine_tune":
        raise ConfigError(
            f"lora_rank: trains layers of the teacher, in method fine_tune. Received: method {config.model.method}. "
            "Leave lora_rank out."
        )


def _check_distillation(config: TransferConfig) -> None:
    distillation = config.distillation
    if distillation.unlabelled and not distillation.teacher_run:
        raise ConfigError(
            f"unlabelled: expected a teacher run, whose answers stand in for labels. Received: {distillation.unlabelled} alone. "
            "Use python -m tl_keras.distill --teacher_run=RUN_DIRECTORY."
        )
    for name in ("mixup", "cutmix"):
        if distillation.teacher_run and getattr(config.data, name):
            raise ConfigError(
                f"{name}: expected 0 beside a teacher run, which answers whole images. Received: {getattr(config.data, name):g}. "
                "Leave it out: with --config.distillation.mixtures=on the teacher run answers mixtures of its own."
            )


def _check_optimizer(config: TransferConfig) -> None:
    """Raises a ConfigError if options of AdamW are chosen beside an optimizer that replaces it."""
    training = config.training
    if not training.optimizer:
        return
    rate, usual = rate_of_optimizer(parse_optimizer(training.optimizer)), type(training)()
    chosen = {
        "learning_rate": training.find_learning_rate or training.learning_rate not in (0, rate),
        "warmup_fraction": training.warmup_fraction not in (0, usual.warmup_fraction),
        "weight_decay": training.weight_decay not in (0, usual.weight_decay),
        "layer_decay": training.layer_decay != 1,
        "teacher_decay": training.teacher_decay != 0,
        "ema_momentum": training.ema_momentum != 0,
    }
    if names := [name for name, is_chosen in chosen.items() if is_chosen]:
        raise ConfigError(
            f"{names[0]}: expected no options of AdamW beside an optimizer that replaces it. Received: both. Leave {names[0]} out, "
            "or set it in the optimizer."
        )
