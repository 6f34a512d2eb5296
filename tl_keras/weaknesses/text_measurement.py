"""Measures a finished run on texts that are changed as people change them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from tl_keras.console import say
from tl_keras.errors import DataError
from tl_keras.evaluation.metrics import accuracy_interval
from tl_keras.text.tokenizing import TextPreprocess
from tl_keras.weaknesses.audit_record import Audit, Condition
from tl_keras.weaknesses.text_changes import CHANGES, TextChange

_BATCH = 64
_REMARK = "No figures of the teacher, which answers no question by itself; attacks by search are not made."


def audit_texts(
    model: keras.Model, preprocess: TextPreprocess, texts: Sequence[str], labels: np.ndarray, *, split: str, seed: int
) -> Audit:
    """Measures the accuracy that a run keeps on changed texts.

    Args:
      model: Model from token ids to a logit for each class.
      preprocess: Tokenizing of its teacher.
      texts: Texts that the run held out.
      labels: int64 (n,), their classes.
      split: Split that they are from.
      seed: Seed of all random numbers.

    Raises:
      DataError: No text is changed by a rule.
    """
    began = time.perf_counter()
    answers = _answers_of(model, preprocess)
    clean = answers(texts)
    conditions = [
        condition
        for change in CHANGES
        for condition in _under(change, texts, labels, clean=clean, answers=answers, seed=seed)
    ]
    if not any(each.kind == "corruption" for each in conditions):
        raise DataError("audit: expected texts with Latin letters, which the rules change. Received: none.")
    right = clean == labels
    return Audit(
        split=split,
        images=len(texts),
        seed=seed,
        accuracy=float(right.mean()),
        interval=accuracy_interval(float(right.mean()), len(right)),
        conditions=tuple(conditions),
        mimicry=(),
        chance=0.0,
        remark=_REMARK,
        seconds=time.perf_counter() - began,
        noun="text",
    )


def _answers_of(model: keras.Model, preprocess: TextPreprocess) -> Callable[[Sequence[str]], np.ndarray]:
    """Returns the function from texts to the classes that the model answers, int64 (n,)."""
    infer = tf.function(
        lambda tokens: tf.argmax(model(tokens, training=False), axis=-1),
        input_signature=[tf.TensorSpec((None, None), tf.int32)],
        autograph=False,
    )

    def answers(texts: Sequence[str]) -> np.ndarray:
        ids = preprocess.ids(texts)
        order = np.argsort((ids != 0).sum(axis=1), kind="stable")
        given: np.ndarray = np.zeros(len(texts), np.int64)
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            given[rows] = infer(preprocess.without_padding(tf.constant(ids[rows]))).numpy()
        return given

    return answers


def _under(
    change: TextChange,
    texts: Sequence[str],
    labels: np.ndarray,
    *,
    clean: np.ndarray,
    answers: Callable[[Sequence[str]], np.ndarray],
    seed: int,
) -> list[Condition]:
    """Returns the results under one change, at each of its strengths; none if it changes no text."""
    found = []
    for strength, setting in change.strengths:
        changed = [change.apply(text, strength, np.random.default_rng([seed, row])) for row, text in enumerate(texts)]
        touched = sum(new != old for new, old in zip(changed, texts, strict=True))
        if not touched:
            continue
        given = answers(changed)
        accuracy = float(np.mean(given == labels))
        found.append(
            Condition(
                kind="corruption" if change.keeps_meaning else "meaning",
                name=change.name,
                strength=strength,
                setting=f"{setting}; {touched} texts differ",
                accuracy=accuracy,
                interval=accuracy_interval(accuracy, len(labels)),
                unchanged=float(np.mean(given == clean)),
                teacher_unchanged=None,
            )
        )
    if found:
        say(f"{change.name}: accuracy {', '.join(f'{row.accuracy:.2f}' for row in found)}")
    return found
