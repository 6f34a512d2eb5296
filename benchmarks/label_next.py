"""How many labels a choice of images is worth: `python -m benchmarks.label_next FOLDER`.

Labels of a set are hidden and asked for, twenty images at a time, drawn at random, by the smallest margin, or by the rule of
`python -m tl_keras.label_next`; after each twenty a linear probe is fitted to the labels and measured on other images. Ten draws of
the images to choose from. A second table has the forecasts of the learning curve, of 50 labels more than 100. FOLDER keeps the
features.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
from sklearn.isotonic import IsotonicRegression
from threadpoolctl import threadpool_limits

from benchmarks.feature_sets import FeatureSet, feature_set, read_arguments, write_results
from tl_keras.labels.herding import choose_images, margin_uncertainty
from tl_keras.labels.learning_curve import forecast
from tl_keras.probes.transferability import along_components, fit_classifier
from tl_keras.probes.vectors import directions

STEP, LABELS, KNOWN, MORE = 20, 200, 100, 50
_POOL = _TEST = 1_500


@dataclasses.dataclass(frozen=True)
class Pool:
    """Images to choose from and to measure on.

    Attributes:
      features: Features of both, float32 (n + m, d); the first n are to choose from.
      scaled: The same for the probe.
      seen: Directions of those, float32 (n, d).
      labels: int64 (n + m,).
      seed: Number of the draw.
    """

    features: np.ndarray
    scaled: np.ndarray
    seen: np.ndarray
    labels: np.ndarray
    seed: int

    def accuracy(self, shown: np.ndarray) -> float:
        """Returns the accuracy of a probe on some labels, measured on the images to measure on."""
        asked = np.arange(len(self.seen), len(self.labels))
        return float(np.mean(self.answers(shown, asked).argmax(axis=1) == self.labels[asked]))

    def errors_of_each_class(self, shown: np.ndarray) -> np.ndarray:
        """Returns how many of the images of each class a probe on some labels takes for another, int64 (classes,)."""
        asked = np.arange(len(self.seen), len(self.labels))
        wrong = self.answers(shown, asked).argmax(axis=1) != self.labels[asked]
        return np.bincount(self.labels[asked][wrong], minlength=int(self.labels.max()) + 1)

    def answers(self, shown: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Returns the probabilities of a probe on some labels, float (k, classes)."""
        probabilities: np.ndarray = np.zeros((len(asked), int(self.labels.max()) + 1))
        known = np.unique(self.labels[shown])
        if len(known) < 2:
            probabilities[:, known] = 1.0
        else:
            fitted = fit_classifier(self.scaled[shown], self.labels[shown])
            probabilities[:, known] = fitted.predict_proba(self.scaled[asked])
        return probabilities


def drawn_pool(features: FeatureSet, seed: int) -> Pool:
    """Returns images drawn from a set; a small set is divided again."""
    random = np.random.default_rng(seed)
    if len(features.drawn) > _POOL:
        rows, asked = (random.permutation(len(part))[:_POOL] for part in (features.drawn, features.test))
        shown, labels = features.drawn[rows], np.concatenate([features.drawn_labels[rows], features.test_labels[asked]])
        both = np.concatenate([shown, features.test[asked]])
    else:
        order = random.permutation(len(features.drawn) + len(features.test))
        both = np.concatenate([features.drawn, features.test])[order]
        labels = np.concatenate([features.drawn_labels, features.test_labels])[order]
        shown = both[: int(0.7 * len(both))]
    return Pool(both, along_components(both), directions(shown, shown.mean(axis=0)), labels, seed)


def at_random(pool: Pool, labelled: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Chooses images at random."""
    return np.random.default_rng([pool.seed, len(labelled)]).permutation(left)[:STEP]


def by_margin(pool: Pool, labelled: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Chooses the images of the smallest margins, the first ones at random."""
    if not len(labelled):
        return at_random(pool, labelled, left)
    return left[np.argsort(-margin_uncertainty(pool.answers(labelled, left)), kind="stable")[:STEP]]


def by_the_rule(pool: Pool, labelled: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Chooses images as `label_next` does."""
    uncertainty = margin_uncertainty(pool.answers(labelled, left)) if len(labelled) else None
    chosen = choose_images(
        pool.seen[left], labelled=pool.seen[labelled], uncertainty=uncertainty, count=STEP, seed=pool.seed
    )
    return left[chosen]


RULES: dict[str, Callable[[Pool, np.ndarray, np.ndarray], np.ndarray]] = {
    "random": at_random,
    "margin": by_margin,
    "label_next": by_the_rule,
}


def labelled_in_turn(pool: Pool, rule: str, *, labels: int) -> np.ndarray:
    """Returns images in the order in which a rule asks for them, int64 (labels,)."""
    labelled: np.ndarray = np.zeros(0, np.int64)
    while len(labelled) < labels:
        left = np.setdiff1d(np.arange(len(pool.seen)), labelled)
        labelled = np.concatenate([labelled, RULES[rule](pool, labelled, left)])
    return labelled[:labels]


def accuracies(pool: Pool, rule: str) -> list[float]:
    """Returns the accuracy after each twenty labels."""
    order = labelled_in_turn(pool, rule, labels=LABELS)
    return [pool.accuracy(order[:shown]) for shown in range(STEP, LABELS + 1, STEP)]


def labels_needed(mean: np.ndarray, random: np.ndarray) -> float:
    """Returns the number of labels at which a rule reaches what 200 drawn at random do; infinite if it does not.

    Args:
      mean: Mean accuracy of the rule after each twenty labels, float (k,); noise is taken out by isotonic regression.
      random: Mean accuracy of the random choice.
    """
    counts = np.arange(STEP, LABELS + 1, STEP)
    rising, target = (IsotonicRegression().fit_transform(counts, each) for each in (mean, random))
    if rising[-1] < target[-1]:
        return float("inf")
    at = int(np.argmax(rising >= target[-1]))
    if not at:
        return STEP
    return STEP * (at + (target[-1] - rising[at - 1]) / (rising[at] - rising[at - 1]))


def forecasts(pool: Pool, rule: str) -> dict[str, float]:
    """Returns the forecast of fifty labels more than a hundred that a rule chose, and what they bring."""
    order = labelled_in_turn(pool, rule, labels=KNOWN + MORE)
    first = order[:KNOWN]
    left = np.setdiff1d(np.arange(len(pool.seen)), first)
    found = forecast(
        along_components(pool.features[np.concatenate([first, left])]),
        pool.labels[first],
        more=MORE,
        seed=pool.seed,
        measured_on=len(pool.labels) - len(pool.seen),
    )
    assert found is not None
    return {
        "now": pool.accuracy(first),
        "forecast_now": found.now.value,
        "then": pool.accuracy(order),
        "forecast": found.then.value,
        "low": found.then.low,
        "high": found.then.high,
        "gain": found.gain.value,
        "gain_low": found.gain.low,
        "gain_high": found.gain.high,
    }


def measure_choice(features: FeatureSet, draws: int) -> dict[str, np.ndarray]:
    """Returns the accuracies of each rule, float (draws, steps)."""
    pools = [drawn_pool(features, seed) for seed in range(draws)]
    return {rule: np.array([accuracies(pool, rule) for pool in pools]) for rule in RULES}


def describe_choice(name: str, found: dict[str, np.ndarray]) -> list[str]:
    """Returns the rows of the table of one set."""
    random, rows = found["random"], []
    for rule, accuracy in found.items():
        better = (accuracy - random).mean(axis=1)
        error = better.std(ddof=1) / np.sqrt(len(better))
        needed = LABELS if rule == "random" else labels_needed(accuracy.mean(axis=0), random.mean(axis=0))
        shown = " | ".join(f"{accuracy.mean(axis=0)[count // STEP - 1]:.3f}" for count in (20, 60, 100, 140, 200))
        rows.append(f"| {name} | {rule} | {shown} | {better.mean():+.3f} ± {error:.3f} | {needed:.0f} |")
    return rows


def describe_forecasts(name: str, rule: str, found: list[dict[str, float]]) -> str:
    """Returns a row of the table of forecasts."""
    mean = functools.partial(lambda key: float(np.mean([each[key] for each in found])))
    within = sum(each["low"] <= each["then"] <= each["high"] for each in found)
    half = float(np.mean([(each["high"] - each["low"]) / 2 for each in found]))
    return (
        f"| {name} | {rule} | {mean('forecast_now'):.3f} | {mean('now'):.3f} | {mean('forecast'):.3f} ± {half:.3f} | "
        f"{mean('then'):.3f} | {within} of {len(found)} | {mean('gain_low'):+.3f} to {mean('gain_high'):+.3f} | "
        f"{mean('then') - mean('now'):+.3f} |"
    )


def main() -> None:
    """Prints the two tables, and writes what they are made of."""
    arguments = read_arguments(__doc__, parts=("choice", "forecast"))
    sets = {name: feature_set(name, arguments.folder, default_teacher=True) for name in arguments.sets}
    results: dict[str, object] = {}
    with threadpool_limits(1):
        if "choice" in arguments.parts:
            print("| set | choice | 20 | 60 | 100 | 140 | 200 labels | mean over random | labels for random's 200 |")
            print("|---|---|---|---|---|---|---|---|---|")
            for name, features in sets.items():
                found = measure_choice(features, arguments.draws)
                results[name] = {rule: accuracy.round(4).tolist() for rule, accuracy in found.items()}
                print("\n".join(describe_choice(name, found)), flush=True)
        if "forecast" in arguments.parts:
            print(
                f"\n| set | {KNOWN} labels | forecast | true | forecast of {MORE} more | true | within | gain | true |\n"
                "|---|---|---|---|---|---|---|---|---|"
            )
            for name, features in sets.items():
                for rule in ("random", "label_next"):
                    rows = [forecasts(drawn_pool(features, seed), rule) for seed in range(arguments.draws)]
                    results[f"{name}, forecast, {rule}"] = rows
                    print(describe_forecasts(name, rule, rows), flush=True)
    write_results(arguments, results)


if __name__ == "__main__":
    main()
