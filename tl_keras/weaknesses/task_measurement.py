"""Measures a finished run of several labels, grades or numbers on corrupted and attacked images, by the score of its task."""

from __future__ import annotations

import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tl_keras.console import in_words, say
from tl_keras.tasks.base import Task
from tl_keras.tasks.loss_recipe import LossRecipe
from tl_keras.weaknesses.attacks import fgsm
from tl_keras.weaknesses.audit_record import Audit, Condition
from tl_keras.weaknesses.corruptions import CORRUPTIONS, Corruption

_BATCH = 32
_REMARK = "No figures of the teacher; attacks that choose an answer, PGD and mimicry, are made where one class per image is told."


def audit_task(
    model: keras.Model,
    task: Task,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    corrupted: Callable[[Corruption, int], np.ndarray],
    strengths: tuple[float, ...],
    split: str,
    seed: int,
) -> Audit:
    """Measures the score that a run keeps.

    Args:
      model: Model from images as the network takes them to logits, float32 (n, outputs).
      task: Task that it was trained for.
      images: float32 (n, image_size, image_size, 3), RGB, 0 to 255, the network's input.
      labels: Labels of the images, as the source has them, in the order of the model's names.
      corrupted: Function from a corruption and its severity to the changed images.
      strengths: Grey levels of 255 by which the attack may change every pixel.
      split: Split that the images are from.
      seed: Seed of all random numbers.
    """
    began = time.perf_counter()
    logits_of = tf.function(lambda batch: model(batch, training=False), autograph=False)

    def logits(changed: np.ndarray) -> np.ndarray:
        return np.concatenate([logits_of(part).numpy() for part in _batches(changed)])

    clean = logits(images)
    answers = task.decide(clean).reshape(len(images), -1)

    def condition(kind: str, name: str, strength: float, setting: str, changed: np.ndarray) -> Condition:
        given = logits(changed)
        kept = (task.decide(given).reshape(len(images), -1) == answers).all(axis=1)
        score, interval = task.score(given, labels), task.interval(given, labels)
        return Condition(kind, name, strength, setting, score, interval, float(kept.mean()), None)

    conditions = []
    for corruption in CORRUPTIONS:
        rows = [
            condition(
                "corruption",
                corruption.name,
                severity,
                f"{corruption.quantity} {constant:g}",
                corrupted(corruption, severity),
            )
            for severity, constant in enumerate(corruption.constants, start=1)
        ]
        say(f"{corruption.name}: {in_words(task.score_name)} {', '.join(f'{row.accuracy:.2f}' for row in rows)}")
        conditions += rows
    slope = _slope(model, task, images, labels)
    conditions += [
        condition("attack", "FGSM", strength, f"{strength:g}/255", fgsm(images, slope, strength=strength))
        for strength in strengths
    ]
    return Audit(
        split=split,
        images=len(labels),
        seed=seed,
        accuracy=task.score(clean, labels),
        interval=task.interval(clean, labels),
        conditions=tuple(conditions),
        mimicry=(),
        chance=0.0,
        remark=_REMARK,
        seconds=time.perf_counter() - began,
        score_name=task.score_name,
    )


def _slope(model: keras.Model, task: Task, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the gradient of the task's loss at the images, of their shape."""
    loss = task.loss_of(LossRecipe())
    targets = task.targets(tf.constant(labels), model.output_shape[-1])

    @tf.function(autograph=False)
    def slope(batch: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(batch)
            losses = loss(wanted, model(batch, training=False))
        return tape.gradient(losses, batch)

    parts = zip(_batches(images), _batches(targets.numpy()), strict=True)
    return np.concatenate([slope(tf.constant(part), tf.constant(wanted)).numpy() for part, wanted in parts])


def _batches(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
