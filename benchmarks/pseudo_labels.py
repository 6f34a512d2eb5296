"""What pseudo-labels gain: `python -m benchmarks.pseudo_labels FOLDER`.

Ten labels of each class, 1,000 images without (334 of flowers5), frozen features of the default teacher, ten draws: the accuracy of
a linear classifier on other images, fitted to the labels alone, with pseudo-labels, and with them only where the out-of-fold
accuracy on the true labels rises by more than noise. In the second half the unlabelled images are of other proportions than the
labelled ones, a class up to ten times as frequent as another, where balanced pseudo-labels are wrong. FOLDER keeps the features.
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.feature_sets import FeatureSet, feature_set, read_arguments, write_results
from tl_keras.labels.self_training import fit_with, give_labels, measure_gain
from tl_keras.probes.transferability import along_components, fit_classifier

OF_A_CLASS, UNLABELLED, MEASURED = 10, 1_000, 1_500


def measure(features: FeatureSet, seed: int, *, unlike: bool) -> dict[str, float]:
    """Returns the accuracies of one draw, and what the gate saw.

    Args:
      features: Features of a set.
      seed: Seed of the draw.
      unlike: Whether the unlabelled images have other proportions of the classes.
    """
    random = np.random.default_rng(seed)
    every = np.concatenate([features.drawn, features.test])
    labels = np.concatenate([features.drawn_labels, features.test_labels])
    order = random.permutation(len(labels))
    shown = np.concatenate([order[labels[order] == label][:OF_A_CLASS] for label in np.unique(labels)])
    others = random.permutation(np.setdiff1d(order, shown))
    asked, left = np.split(others, [min(MEASURED, len(others) // 3)])
    if unlike:
        frequency = random.permutation(np.linspace(0.1, 1.0, int(labels.max()) + 1))
        left = left[random.random(len(left)) < frequency[labels[left]]]
    left = left[:UNLABELLED]
    scaled = along_components(every[np.concatenate([shown, left, asked])])
    known, answers = scaled[: len(shown) + len(left)], scaled[len(shown) + len(left) :]
    gain, temperature = measure_gain(known, labels[shown], groups=np.arange(len(shown)), seed=seed)
    given = give_labels(known, labels[shown], temperature=temperature)
    alone = fit_classifier(known[: len(shown)], labels[shown]).score(answers, labels[asked])
    beside = fit_with(known, labels[shown], given).score(answers, labels[asked])
    return {
        "alone": float(alone),
        "with": float(beside),
        "kept": bool(gain.helps),
        "right": float(np.mean(labels[left[given.rows]] == given.labels)),
        "gated": float(beside if gain.helps else alone),
        "out_of_fold_gain": gain.after - gain.before,
        "noise": gain.noise,
    }


def describe(name: str, rows: list[dict[str, float]], *, unlike: bool) -> str:
    """Returns a row of the table."""
    column = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    kinds = []
    for key in ("with", "gated"):
        gain = 100 * (column[key] - column["alone"])
        kinds.append(f"{gain.mean():+.1f} ± {gain.std(ddof=1) / np.sqrt(len(gain)):.1f} (worst {gain.min():+.1f})")
    which = "other proportions" if unlike else "same proportions"
    return (
        f"| {name}, {which} | {column['alone'].mean():.3f} | {column['right'].mean():.3f} | {kinds[0]} | "
        f"{int(column['kept'].sum())} of {len(rows)} | {kinds[1]} |"
    )


def main() -> None:
    """Prints a row for each set and each kind of unlabelled images."""
    arguments, results = read_arguments(__doc__, parts=("same", "other")), {}
    print(
        "| set, unlabelled images of | labels alone | pseudo-labels right | gain in points | kept | gain with the gate |"
    )
    print("|---|---|---|---|---|---|")
    with threadpool_limits(1):
        for part in arguments.parts:
            for name in arguments.sets:
                features = feature_set(name, arguments.folder, default_teacher=True)
                rows = [measure(features, seed, unlike=part == "other") for seed in range(arguments.draws)]
                results[f"{name}, {part}"] = rows
                print(describe(name, rows, unlike=part == "other"), flush=True)
    write_results(arguments, results)


if __name__ == "__main__":
    main()
