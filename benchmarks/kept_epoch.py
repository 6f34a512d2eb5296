"""Compares rules for the epoch to keep on small transfers in NumPy: `python -m benchmarks.kept_epoch [RUNS]`, in six minutes.

A network of two hidden layers learns five of scikit-learn's digits; a new head, and then all of it, learns the other five from few
images. Every rule chooses an epoch of the same runs, and is judged by the test accuracy and test loss of its choice. Contested are
runs in which the rule of tl_keras keeps fine-tuning although the head had as many right answers and 1.5 nats less loss in all.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np
from sklearn.datasets import load_digits

from tl_keras.evaluation.metrics import accuracy_interval
from tl_keras.evaluation.selection import EpochScore, compare

_IMAGES, _LABELS = load_digits(return_X_y=True)
_PIXELS = _IMAGES / 16.0
_SIZES = ((70, 15), (140, 30), (300, 60))  # training and validation images
_RATES = (3e-4, 3e-3, 3e-2, 1e-1)  # of fine-tuning; the last does harm
_HEAD_EPOCHS, _TUNING_EPOCHS = 30, 15

Weights = list[np.ndarray]
Epoch = tuple[EpochScore, float, float]  # on validation; accuracy and loss on test


def main(runs: int) -> None:
    """Prints the mean test accuracy and loss of each rule."""
    print(f"| images, rate | {' | '.join(RULES)} | head |")
    for training, validation in _SIZES:
        for rate in _RATES:
            histories = [_run(seed, training, validation, rate) for seed in range(runs)]
            print(_row(f"{training} + {validation}, {rate:g}", histories, validation))
            contested = [history for history in histories if _is_contested(history, validation)]
            if contested:
                print(_row(f"contested: {len(contested)}", contested, validation))


def _row(name: str, histories: list[list[Epoch]], validation: int) -> str:
    chosen = [[history[rule(history, validation)] for history in histories] for rule in RULES.values()]
    chosen.append([history[_HEAD_EPOCHS - 1] for history in histories])
    cells = [f"{np.mean([e[1] for e in epochs]):.4f}, {np.mean([e[2] for e in epochs]):.3f}" for epochs in chosen]
    return f"| {name} | {' | '.join(cells)} |"


def _is_contested(history: list[Epoch], images: int) -> bool:
    kept, head = _last_not_worse(history, images), history[_HEAD_EPOCHS - 1][0]
    score = history[kept][0]
    more = (score.loss - head.loss) * images
    return kept >= _HEAD_EPOCHS and score.accuracy == head.accuracy and more > 1.5


def _last_not_worse(history: list[Epoch], images: int, order: Callable[..., int] = compare) -> int:
    best, kept = history[0][0], 0
    for position, (score, _, _) in enumerate(history[1:], start=1):
        result = order(score, best, images=images)
        if result > 0 or (result == 0 and (-score.loss, score.accuracy) > (-best.loss, best.accuracy)):
            best = score
        if result >= 0:
            kept = position
    return kept


def _by_two_nats(score: EpochScore, best: EpochScore, *, images: int) -> int:
    """Compares as `compare` does, but calls any two nats clear."""
    low, high = accuracy_interval(best.accuracy, images)
    gained = (best.loss - score.loss) * images
    if not low <= score.accuracy <= high or abs(gained) <= 2:
        return 1 if score.accuracy > high else -1 if score.accuracy < low else 0
    return 1 if gained > 0 else 0 if score.accuracy > best.accuracy else -1


def _best_accuracy(history: list[Epoch], images: int) -> int:
    return max(range(len(history)), key=lambda i: (history[i][0].accuracy, -history[i][0].loss))


def _least_loss(history: list[Epoch], images: int) -> int:
    best = 0
    for position, (score, _, _) in enumerate(history):
        low, high = accuracy_interval(history[best][0].accuracy, images)
        if score.accuracy > high or (low <= score.accuracy and score.loss <= history[best][0].loss):
            best = position
    return best


RULES: dict[str, Callable[[list[Epoch], int], int]] = {
    "tl_keras": _last_not_worse,
    "two nats": lambda history, images: _last_not_worse(history, images, _by_two_nats),
    "least loss": _least_loss,
    "best accuracy": _best_accuracy,
    "last": lambda history, images: len(history) - 1,
}


def _run(seed: int, training: int, validation: int, rate: float) -> list[Epoch]:
    """Returns the epochs of a head's phase and of fine-tuning."""
    classes = np.random.default_rng(seed + 999).permutation(10)
    known, new = np.sort(classes[:5]), np.sort(classes[5:])
    random = np.random.default_rng(seed)
    weights: Weights = []
    for inputs, outputs in ((64, 64), (64, 32)):
        weights += [random.normal(0, math.sqrt(2 / inputs), (inputs, outputs)), np.zeros(outputs)]
    weights += [random.normal(0, 0.1, (32, 5)), np.zeros(5)]
    seen = np.isin(_LABELS, known)
    _train(weights, _PIXELS[seen], np.searchsorted(known, _LABELS[seen]), 8, 3e-3, range(6), random)
    weights[4:] = [random.normal(0, 0.1, (32, 5)), np.zeros(5)]
    drawn = random.permutation(np.flatnonzero(np.isin(_LABELS, new)))
    train, held_out, test = np.split(drawn, [training, training + validation])
    labels, history = np.searchsorted(new, _LABELS), []

    def record() -> None:
        score, tested = (_score(weights, _PIXELS[part], labels[part]) for part in (held_out, test))
        history.append((score, tested.accuracy, tested.loss))

    for epochs, peak, trained in ((_HEAD_EPOCHS, 1e-2, range(4, 6)), (_TUNING_EPOCHS, rate, range(6))):
        _train(weights, _PIXELS[train], labels[train], epochs, peak, trained, random, record)
    return history


def _train(
    weights: Weights,
    images: np.ndarray,
    labels: np.ndarray,
    epochs: int,
    rate: float,
    trained: range,
    random: np.random.Generator,
    record: Callable[[], None] = lambda: None,
) -> None:
    """Trains in place by Adam (Kingma and Ba 2015) under a cosine, in batches of 32."""
    first, second = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    steps, step = epochs * math.ceil(len(labels) / 32), 0
    for _ in range(epochs):
        order = random.permutation(len(labels))
        for batch in np.split(order, range(32, len(labels), 32)):
            now, step = rate * (0.5 + 0.5 * math.cos(math.pi * (step + 1) / steps)), step + 1
            for i, gradient in _gradients(weights, images[batch], labels[batch], trained).items():
                first[i] = 0.9 * first[i] + 0.1 * gradient
                second[i] = 0.999 * second[i] + 0.001 * gradient**2
                scale = np.sqrt(second[i] / (1 - 0.999**step)) + 1e-7
                weights[i] = weights[i] - now * first[i] / (1 - 0.9**step) / scale
        record()


def _gradients(weights: Weights, images: np.ndarray, labels: np.ndarray, trained: range) -> dict[int, np.ndarray]:
    lower, upper, probabilities = _forward(weights, images)
    error = (probabilities - np.eye(5)[labels]) / len(labels)
    gradients = {4: upper.T @ error, 5: error.sum(0)}
    if 0 in trained:
        error = (error @ weights[4].T) * (upper > 0)
        gradients |= {2: lower.T @ error, 3: error.sum(0)}
        error = (error @ weights[2].T) * (lower > 0)
        gradients |= {0: images.T @ error, 1: error.sum(0)}
    return gradients


def _forward(weights: Weights, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lower = np.maximum(images @ weights[0] + weights[1], 0)
    upper = np.maximum(lower @ weights[2] + weights[3], 0)
    logits = upper @ weights[4] + weights[5]
    scores = np.exp(logits - logits.max(1, keepdims=True))
    return lower, upper, scores / scores.sum(1, keepdims=True)


def _score(weights: Weights, images: np.ndarray, labels: np.ndarray) -> EpochScore:
    probabilities = _forward(weights, images)[2]
    right = probabilities[np.arange(len(labels)), labels]
    return EpochScore(
        float(np.mean(probabilities.argmax(1) == labels)), float(-np.log(np.maximum(right, 1e-12)).mean())
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
