"""Draws the figures of a report on what the student inherits: under strain, and when its teacher is attacked."""

from __future__ import annotations

from typing import Any

import numpy as np

from tl_keras.console import in_words
from tl_keras.reporting.figures import BLUE, GREY, ORANGE, Picture, drawing_of, short


def under_strain(audit: dict[str, Any]) -> Picture:
    """Draws the accuracy that the student keeps, and the answers that it and its teacher keep, by strength of the change.

    Args:
      audit: Content of `audit.json`.
    """
    score = in_words(audit.get("score_name", "accuracy"))
    rows_of: dict[str, list[dict[str, Any]]] = {}
    for row in audit["conditions"]:
        rows_of.setdefault(row["name"], []).append(row)
    lowest = min(0.0, *(row["interval"][0] for row in (audit, *audit["conditions"])))  # R² and kappa fall below 0
    with drawing_of("strain", 1.7 * -(-len(rows_of) // 2)) as drawing:
        panels = drawing.figure.subplots(-(-len(rows_of) // 2), 2, sharey=True).flat
        for (name, rows), axes in zip(rows_of.items(), panels, strict=False):
            places = range(len(rows) + 1)
            left = [audit["accuracy"], *(row["accuracy"] for row in rows)]
            lows, highs = np.array([audit["interval"], *(row["interval"] for row in rows)]).T
            axes.errorbar(
                places, left, yerr=(left - lows, highs - left), color=BLUE, marker="o", capsize=2, label=score
            )
            axes.plot(places, [1, *(row["unchanged"] for row in rows)], ":", color=BLUE, label="answers unchanged")
            if rows[0]["teacher_unchanged"] is not None:
                theirs = [1, *(row["teacher_unchanged"] for row in rows)]
                axes.plot(places, theirs, "--", color=ORANGE, label="the teacher's unchanged")
            axes.set_xticks(places, ["0", *(f"{row['strength']:g}" for row in rows)])
            axes.set(title=name, ylim=(lowest - 0.05, 1.05))
            lines = axes.get_legend_handles_labels()
        for axes in panels:  # the panels that are not used
            axes.set_axis_off()
        drawing.figure.legend(*lines, loc="outside upper center", ncols=3)
    last = {name: rows[-1]["accuracy"] for name, rows in rows_of.items()}
    listed = ", ".join(f"{name} {accuracy:.3f}" for name, accuracy in last.items())
    return Picture(
        drawing.svg,
        f"{score[0].upper()}{score[1:]} {audit['accuracy']:.3f} on the images as they are; at the largest strength: {listed}.",
    )


def mimicry(audit: dict[str, Any]) -> Picture:
    """Draws how often the attack with only the public teacher succeeds, by the depth at which features are matched.

    Args:
      audit: Content of `audit.json`, with such an attack.
    """
    rows = audit["mimicry"]
    taken = np.array([row["taken"] for row in rows])
    lows, highs = np.array([row["interval"] for row in rows]).T
    with drawing_of("mimicry", 1.2 + 0.3 * len(rows)) as drawing:
        axes = drawing.figure.subplots()
        places = np.arange(len(rows))
        axes.errorbar(
            taken, places, xerr=(taken - lows, highs - taken), fmt="o", color=BLUE, capsize=3, label="student"
        )
        if rows[0]["teacher_taken"] is not None:
            axes.plot([row["teacher_taken"] for row in rows], places, "s", color=ORANGE, label="teacher")
        axes.axvline(audit["chance"], color=GREY, linestyle=":", label="without attack")
        axes.set_yticks(places, [short(row["depth"]) + (" (cut)" if row["is_cut"] else "") for row in rows])
        axes.set(xlabel="part answered as the target is", xlim=(-0.02, 1.02), ylim=(len(rows) - 0.5, -0.5))
        drawing.figure.legend(loc="outside upper center", ncols=3)
    listed = ", ".join(f"{row['depth']} {row['taken']:.3f}" for row in rows)
    return Picture(drawing.svg, f"Part of the images answered as their target is, by the depth of the match: {listed}.")
