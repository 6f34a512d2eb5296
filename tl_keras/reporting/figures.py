"""Draws the figures of the reports with matplotlib, as SVG inside the page and in its colours."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from tl_keras.console import in_words, number_of
from tl_keras.evaluation.calibration import Reliability
from tl_keras.runs.records import EpochRecord

# All have a contrast of at least 3 to the page, light (#ffffff) and dark (#15181c), as WCAG 2.2, 1.4.11, requires of graphics.
BLUE, ORANGE, GREY = "#3f7ddb", "#c4621f", "#7f7f7f"

# Placeholder for the page's text colour until the drawing is in the page.
_INK = "#010203"

# Width in inches: at 96 pixels per inch, the figure's text keeps 10 pixels on a phone of 360.
_WIDTH = 5.0
_WIDTH_OF_AXES = 3.8  # at least, of curves
_LONGEST_NAME = 20
_LETTERS_PER_INCH = 11
_FEWEST_LETTERS = 10  # of a line
_LINE = 13  # points from one line to the next

# Number of classes above which counts and names of a confusion matrix overlap.
_MOST_COUNTED = 15
_MOST_NAMED = 40
# Opacity of the strongest cell; text in the page's colour stays readable on it.
_STRONGEST = 0.65

# Area, in square points, of the mark of the bin with the most images.
_LARGEST_MARK = 120

_STYLE: dict[Any, Any] = {
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color"), _INK
    ),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor"), "none"),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 11,
    "legend.frameon": False,
    "svg.fonttype": "none",  # keeps text as text, which can be searched, read aloud, and takes the page's font
    "text.parse_math": False,  # a class may be called $5
}


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure in a page.

    Attributes:
      svg: Drawing, whose text has the colour of the page's text.
      description: Description in words, for readers who cannot see the drawing.
    """

    svg: Markup
    description: str


def curves(epochs: Sequence[EpochRecord], *, kept_epoch: int) -> Picture:
    """Draws loss and score by epoch, with the phases.

    Args:
      epochs: Epochs of the run, at least one.
      kept_epoch: Epoch, from 1, whose weights were kept.
    """
    score = in_words(epochs[0].score_name)
    numbers = [epoch.epoch for epoch in epochs]
    phases = [epoch.phase for epoch in epochs]
    starts = [i for i in range(len(phases)) if i == 0 or phases[i] != phases[i - 1]]
    with drawing_of("curves", 4.6) as drawing:
        axes = drawing.figure.subplots(2, 1, sharex=True)
        for each, quantity in zip(axes, ("loss", "score"), strict=True):
            for prefix, color, style in (("", ORANGE, "--"), ("validation_", BLUE, "-")):
                name = "validation" if prefix else "training"
                values = [getattr(epoch, prefix + quantity) for epoch in epochs]
                each.plot(numbers, values, style, color=color, label=name, marker="o" if len(epochs) == 1 else "")
            each.set_ylabel(score if quantity == "score" else quantity)
            each.axvline(kept_epoch, color=GREY, linestyle=":")
            for start in starts[1:]:
                each.axvline(numbers[start] - 0.5, color=GREY, linewidth=0.8)
        for start, line in zip(starts, _lines([(start / len(phases), phases[start]) for start in starts]), strict=True):
            axes[0].annotate(
                phases[start],
                (numbers[start] - 0.4, 1.0),
                (0, _LINE * line),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                va="bottom",
                fontsize=10,
            )
        axes[1].set_xlim(0.5, len(epochs) + 0.5)
        axes[1].set_xlabel("epoch (dotted: the one that was kept)")
        axes[1].legend()
        axes[1].xaxis.get_major_locator().set_params(integer=True)
    first, last, kept = epochs[0], epochs[-1], epochs[kept_epoch - 1]
    return Picture(
        drawing.svg,
        f"Loss and {score} over {number_of(len(epochs), 'epoch')}. Validation {score} goes from "
        f"{first.validation_score:.3f} to {last.validation_score:.3f}; epoch {kept_epoch} was kept, with "
        f"{kept.validation_score:.3f}.",
    )


def network(rows: Sequence[dict[str, Any]]) -> Picture:
    """Draws the network from input to output: which blocks are frozen, which are trained, and at which rate.

    Args:
      rows: For each block and the head, its `name`, `parameters` and `rate`, the factor on the learning rate, 0 if frozen.
    """
    with drawing_of("network", 0.7 + 0.2 * len(rows)) as drawing:
        axes = drawing.figure.subplots()
        places = np.arange(len(rows))
        bars = axes.barh(
            places,
            [max(row["parameters"], 1) for row in rows],
            color=[BLUE if row["rate"] else "none" for row in rows],
            edgecolor=[BLUE if row["rate"] else GREY for row in rows],
        )
        for bar, row in zip(bars, rows, strict=True):
            bar.set_hatch("" if row["rate"] else "////")
            text = f"trained, rate times {row['rate']:.2g}" if row["rate"] else "frozen"
            axes.annotate(
                text, (1.0, bar.get_y() + bar.get_height() / 2), xycoords=("axes fraction", "data"), va="center"
            )
        axes.set(xscale="log", xlabel="parameters", ylim=(len(rows) - 0.4, -0.6))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_yticks(places, [short(row["name"]) for row in rows])
    trained = [row for row in rows if row["rate"]]
    frozen = len(rows) - len(trained)
    return Picture(
        drawing.svg,
        f"The network from input to output: {number_of(frozen, 'part')} {'is' if frozen == 1 else 'are'} frozen, {len(trained)} "
        f"{'is' if len(trained) == 1 else 'are'} trained, from "
        f"{trained[0]['name']} to {trained[-1]['name']}.",
    )


def confusion(matrix: np.ndarray, names: Sequence[str], *, noun: str = "image") -> Picture:
    """Draws which classes are confused with which.

    Args:
      matrix: int64 (classes, classes), number of images by right class (rows) and predicted class (columns).
      names: Names of the classes.
      noun: Word for what is counted: `image` or `text`.
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    colours = np.zeros((*matrix.shape, 4))
    colours[..., :3], colours[..., 3] = mpl.colors.to_rgb(BLUE), shares * _STRONGEST
    with drawing_of("confusion", _WIDTH) as drawing:
        axes = drawing.figure.subplots()
        axes.imshow(colours, interpolation="none")
        axes.set(xlabel="answer", ylabel="right class")
        if len(names) <= _MOST_NAMED:
            axes.set_xticks(range(len(names)), map(short, names), rotation=90)
            axes.set_yticks(range(len(names)), map(short, names))
        if len(names) <= _MOST_COUNTED:
            for (row, column), count in np.ndenumerate(matrix):
                if count:
                    axes.text(column, row, str(count), ha="center", va="center")
    right = int(matrix.trace())
    return Picture(
        drawing.svg,
        f"Confusion matrix of {len(names)} classes: {right} of {number_of(int(matrix.sum()), noun)} on the diagonal.",
    )


def calibration(before: Reliability, after: Reliability) -> Picture:
    """Draws how often scores are right, before and after the temperature."""
    with drawing_of("calibration", 3.6) as drawing:
        axes = drawing.figure.subplots()
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="as it should be")
        for name, found, color, marker in (("before", before, ORANGE, "o"), ("after", after, BLUE, "s")):
            filled = found.images > 0
            areas = _LARGEST_MARK * found.images[filled] / found.images.max()
            axes.scatter(
                found.score[filled], found.accuracy[filled], areas, color=color, marker=marker, label=name, alpha=0.8
            )
        axes.set(
            xlabel="mean score of the answers in a bin", ylabel="part that is right", xlim=(0, 1.02), ylim=(0, 1.02)
        )
        drawing.figure.legend(loc="outside upper center", ncols=3)
    return Picture(
        drawing.svg,
        f"Scores against the part that is right. The expected calibration error is {before.error:.3f} before and "
        f"{after.error:.3f} after calibration.",
    )


def time_spent(seconds: dict[str, float]) -> Picture:
    """Draws the seconds of each phase."""
    with drawing_of("time", 0.8 + 0.3 * len(seconds)) as drawing:
        axes = drawing.figure.subplots()
        places = range(len(seconds))  # by numbers, since shortened names may be equal
        bars = axes.barh(places, list(seconds.values()), color=BLUE)
        axes.bar_label(bars, fmt="%.1f s", padding=3)
        axes.set_yticks(places, map(short, seconds))
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.set_xlabel("seconds")
    listed = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
    return Picture(drawing.svg, f"Seconds by phase: {listed}.")


def score_by_time(reached: Sequence[tuple[float, float]], *, name: str, seconds: float) -> Picture:
    """Draws the best validation score so far over the seconds since the start of the run.

    Args:
      reached: Seconds and score, as `RunResult.best_scores`.
      name: Name of the score, in words.
      seconds: Duration of the whole run.
    """
    times, scores = zip(*reached, strict=True)
    with drawing_of("reached", 2.6) as drawing:
        axes = drawing.figure.subplots()
        axes.step([*times, seconds], [*scores, scores[-1]], where="post", color=BLUE)
        axes.plot(times, scores, "o", color=BLUE)
        axes.set(xlabel="seconds since the run began", ylabel=f"best validation {name}")
        axes.set_xlim(left=0)
    return Picture(
        drawing.svg, f"The best validation {name}, {scores[-1]:.3f}, was reached after {times[-1]:.1f} seconds."
    )


def scores(
    names: Sequence[str], values: Sequence[float], intervals: Sequence[tuple[float, float]], *, name: str
) -> Picture:
    """Draws the scores of several runs with their 95% intervals.

    Args:
      names: Names of the runs.
      values: Score of each run.
      intervals: Both ends of each interval.
      name: Name of the score, in words.
    """
    lows, highs = np.array(intervals).T
    with drawing_of("scores", 0.8 + 0.3 * len(names)) as drawing:
        axes = drawing.figure.subplots()
        places = np.arange(len(names))
        axes.errorbar(values, places, xerr=(values - lows, highs - values), fmt="o", color=BLUE, capsize=3)
        axes.set_yticks(places, map(short, names))
        axes.set(xlabel=f"{name}, with its 95% interval", ylim=(len(names) - 0.5, -0.5))
    listed = ", ".join(f"{run} {value:.3f}" for run, value in zip(names, values, strict=True))
    return Picture(drawing.svg, f"{name.capitalize()}: {listed}.")


def validation_curves(names: Sequence[str], runs: Sequence[Sequence[EpochRecord]], *, name: str) -> Picture:
    """Draws the validation score of several runs by epoch over each other: the first in blue, the second dashed, others grey.

    Args:
      names: Names of the runs, the best first.
      runs: Epochs of each run.
      name: Name of the score, in words.
    """
    with drawing_of("validation_curves", 3.2) as drawing:
        axes = drawing.figure.subplots()
        for place in reversed(range(len(runs))):  # so that the best lies on top
            color, style = ((BLUE, "-"), (ORANGE, "--"), (GREY, ":"))[min(place, 2)]
            named = place < 2 or len(runs) == 3
            label = in_legend(names[place]) if named else ("the others" if place == 2 else None)
            numbers, scores = [epoch.epoch for epoch in runs[place]], [epoch.validation_score for epoch in runs[place]]
            axes.plot(numbers, scores, style, color=color, label=label, marker="o" if len(numbers) == 1 else "")
        axes.set(xlabel="epoch", ylabel=f"validation {name}")
        lines, labels = axes.get_legend_handles_labels()
        axes.legend(lines[::-1], labels[::-1])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    ends = ", ".join(f"{run} {epochs[-1].validation_score:.3f}" for run, epochs in zip(names, runs, strict=True))
    return Picture(drawing.svg, f"Validation {name} by epoch; at the end: {ends}.")


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Darkens an image where heat is low.

    Args:
      image: float32 (height, width, 3), RGB, 0 to 255.
      heat: float32 (height, width), 0 to 1.

    Returns:
      float32 (height, width, 3), RGB, 0 to 255.
    """
    colours = mpl.colormaps["inferno"](heat)[..., :3] * 255
    return (0.5 * image + 0.5 * colours).astype(np.float32)


@dataclasses.dataclass
class _Drawing:
    """A figure to draw on, and its SVG once `drawing_of` is over."""

    figure: Figure
    svg: Markup = dataclasses.field(default_factory=Markup)


@contextlib.contextmanager
def drawing_of(name: str, height: float) -> Iterator[_Drawing]:
    """Yields a figure to draw on, and turns it into SVG afterwards.

    Args:
      name: Prefix that tells its marks from those of the page's other figures.
      height: Height in inches.
    """
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # A class may be named in any script; the browser has the glyphs that matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        drawing = _Drawing(Figure(figsize=(_WIDTH, height), layout="constrained"))
        yield drawing
        _wrap_titles_of_axes(drawing.figure)
        file = io.StringIO()
        drawing.figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # would apply to the whole page
    svg = re.sub(r' id="[\w.]+_\d+"', "", svg)  # ids are the same in every figure
    drawing.svg = Markup(svg)  # matplotlib has escaped the text in it


def short(name: str) -> str:
    """Returns a name of at most 20 letters; of a longer one both ends, since names of a kind often begin alike."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}…{name[1 - half :]}"


def in_legend(name: str) -> str:
    """Returns a name for a legend, which would leave out one that begins with _: there a joiner without width comes first."""
    return short(name) if not name.startswith("_") else f"\u2060{short(name)}"


def _lines(texts: Sequence[tuple[float, str]]) -> list[int]:
    """Returns for each text the line, 0 the lowest, on which it overlaps none before it.

    Args:
      texts: Texts from left to right, each with its place, 0 to 1, as a part of the width.
    """
    ends: list[float] = []
    lines = []
    for place, text in texts:
        line = next((number for number, end in enumerate(ends) if end <= place), len(ends))
        ends[line : line + 1] = [place + (len(text) + 1) / (_LETTERS_PER_INCH * _WIDTH_OF_AXES)]
        lines.append(line)
    return lines


def _wrap_titles_of_axes(figure: Figure) -> None:
    """Breaks the titles of axes into lines that are no longer than the axis: what reaches beyond the drawing is cut off."""
    figure.draw_without_rendering()  # places the axes
    for axes in figure.axes:
        size = axes.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
        for axis, inches in ((axes.xaxis, size.width), (axes.yaxis, size.height)):
            letters = max(_FEWEST_LETTERS, int(_LETTERS_PER_INCH * inches))
            axis.set_label_text(textwrap.fill(axis.get_label_text(), letters))
