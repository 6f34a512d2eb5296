"""Records the findings of an audit, and the sentence of advice that follows from them."""

from __future__ import annotations

import dataclasses
from typing import Any

from tl_keras.console import in_words

# The severity, of five, that photos in use are likely to have.
_MIDDLE_SEVERITY = 3

# Corruptions that training's augmentation covers; the others must come with the photos.
_IN_AUGMENTATION = ("low contrast", "brightness")


@dataclasses.dataclass(frozen=True)
class Condition:
    """A student's results under one corruption or attack at one strength.

    Attributes:
      kind: `corruption` or `attack`; of texts, `meaning` for a change after which another answer may be right.
      name: Name such as `defocus blur` or `PGD`.
      strength: Severity, 1 to 5; for an attack, the largest change of every pixel in grey levels of 255; of texts, the part of the
        words that is changed, 0 to 1.
      setting: Strength in the terms of the definition.
      accuracy: Accuracy of the student, 0 to 1. Under an attack, images that were wrong before count as wrong.
      interval: 95% interval of the accuracy.
      unchanged: Part of the images for which the student's answer does not change, 0 to 1.
      teacher_unchanged: Same part for the teacher with its own 1000 classes, attacked likewise; None if it was not measured.
    """

    kind: str
    name: str
    strength: float
    setting: str
    accuracy: float
    interval: tuple[float, float]
    unchanged: float
    teacher_unchanged: float | None


@dataclasses.dataclass(frozen=True)
class Mimicry:
    """Results of the attack with only the public teacher, with features matched after a number of blocks.

    Attributes:
      blocks: Number of the teacher's blocks below the matched features.
      depth: Name of the last of these blocks, or `the pooling` for the whole teacher.
      is_cut: Whether the student has the teacher's weights up to exactly this depth.
      strength: Largest change of every pixel, in grey levels of 255.
      taken: Part of the images that the student takes for the target's class, 0 to 1.
      interval: 95% interval of `taken`.
      accuracy: Accuracy of the student on the images, 0 to 1.
      teacher_taken: Part for which the teacher itself gives its answer for the target; None if it was not measured.
    """

    blocks: int
    depth: str
    is_cut: bool
    strength: float
    taken: float
    interval: tuple[float, float]
    accuracy: float
    teacher_taken: float | None


@dataclasses.dataclass(frozen=True)
class Audit:
    """All measurements of one run.

    Attributes:
      split: Split of the images: `test`, `validation` if there are no test images, or `training` if folds left no others.
      images: Number of images.
      seed: Seed of their choice, of noise and of the starts of attacks.
      accuracy: Accuracy on the unchanged images, 0 to 1.
      interval: 95% interval of the accuracy.
      conditions: Corruptions, then attacks, each by increasing strength.
      mimicry: Results from the shallowest match to the deepest; empty if there is no public teacher.
      chance: Part of the unchanged images that are taken for their target's class, the baseline of mimicry.
      remark: Reason why the teacher was not measured, else empty.
      seconds: Duration of the audit.
      noun: Word for what was changed, `image` or `text`.
      score_name: Name of the score that stands under `accuracy`; of several labels, grades and numbers that of the task.
    """

    split: str
    images: int
    seed: int
    accuracy: float
    interval: tuple[float, float]
    conditions: tuple[Condition, ...]
    mimicry: tuple[Mimicry, ...]
    chance: float
    remark: str
    seconds: float
    noun: str = "image"
    score_name: str = "accuracy"

    @property
    def advice(self) -> str:
        """Returns what to do about the findings, in one sentence."""
        if self.noun == "text":
            return self._against_other_spelling()
        clauses = [self._against_worse_photos(), self._against_mimicry(), self._against_the_whole_network()]
        sentence = "; ".join(clause for clause in clauses if clause)
        return f"{sentence[0].upper()}{sentence[1:]}."

    def to_json(self) -> dict[str, Any]:
        """Returns the audit with its advice as JSON values, for `audit.json`."""
        return {**dataclasses.asdict(self), "advice": self.advice}

    def _against_worse_photos(self) -> str:
        middle = [each for each in self.conditions if each.kind == "corruption" and each.strength == _MIDDLE_SEVERITY]
        worst = min(middle, key=lambda condition: condition.accuracy)
        if worst.interval[1] >= self.accuracy:
            return f"photos corrupted at the middle severity cost no {in_words(self.score_name)} that so few images could show"
        remedy = (
            "train with --augmentation=strong"
            if worst.name in _IN_AUGMENTATION
            else "where photos in use have it, train on such photos, too"
        )
        loss = f"{self.accuracy:.0%} correct, {worst.accuracy:.0%} at severity {worst.strength:g}"
        if self.score_name != "accuracy":
            loss = (
                f"{in_words(self.score_name)} {self.accuracy:.2f}, {worst.accuracy:.2f} at severity {worst.strength:g}"
            )
        return f"{worst.name} costs most ({loss}): {remedy}"

    def _against_other_spelling(self) -> str:
        mildest: dict[str, Condition] = {}
        for each in self.conditions:
            if each.kind == "corruption":
                mildest.setdefault(each.name, each)
        worst = min(mildest.values(), key=lambda condition: condition.accuracy)
        if worst.interval[1] >= self.accuracy:
            return "Texts spelt as people do cost no accuracy that so few texts could show."
        return (
            f"{worst.name.capitalize()} ({worst.setting}) costs most ({self.accuracy:.0%} correct, {worst.accuracy:.0%} then): "
            "train on texts that are written so, too."
        )

    def _against_mimicry(self) -> str:
        worst = max(self.mimicry, key=lambda match: match.taken, default=None)
        if worst is None or worst.interval[0] <= self.chance:
            return ""
        return (
            f"the public teacher alone, matched after {worst.depth}, lets a stranger choose the answer for {worst.taken:.0%} of "
            "the images: do not name it, and where it matters ask a second student, of another teacher"
        )

    def _against_the_whole_network(self) -> str:
        harmful = [each for each in self.conditions if each.kind == "attack" and each.interval[1] < self.accuracy]
        if not harmful:
            return ""
        weakest = min(harmful, key=lambda condition: condition.strength)
        return (
            f"who has model.keras changes answers by {weakest.strength:g} of 255 grey levels: keep it to yourself, and let no "
            "answer decide alone where somebody gains by a wrong one"
        )
