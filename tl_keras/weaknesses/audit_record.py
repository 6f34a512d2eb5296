"""What an audit found, as facts, and the sentence that follows from them."""

from __future__ import annotations

import dataclasses
from typing import Any

# Of the five, the one that a photo in use is likely to have.
_MIDDLE_SEVERITY = 3

# Which corruptions the augmentation of training can show; the others have to come with the photos.
_IN_AUGMENTATION = ("low contrast", "brightness")


@dataclasses.dataclass(frozen=True)
class Condition:
    """What is left of a student's answers under one corruption or attack of one strength.

    Attributes:
      kind: `corruption` or `attack`.
      name: Such as `defocus blur` or `PGD`.
      strength: The severity, 1 to 5; of an attack, by how many grey levels of 255 every pixel may change.
      setting: The strength in the terms of the definition.
      accuracy: Of the student, 0 to 1. Under an attack, images that were wrong before count as wrong.
      interval: Its 95% interval.
      unchanged: Part of the images for which the student's answer stays as it was, 0 to 1.
      teacher_unchanged: The same of the teacher with its own 1000 classes, attacked in its turn; None where it was not measured.
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
    """What the attack by the public teacher alone comes to, with features matched after so many blocks.

    Attributes:
      blocks: Of the teacher below the features.
      depth: Name of the last of them, or `the pooling` where it is all.
      is_cut: Whether up to here, and no further, the student has the teacher's weights.
      strength: By how many grey levels of 255 every pixel may change.
      taken: Part of the images that the student answers as the target's class, 0 to 1.
      interval: Its 95% interval.
      accuracy: Of the student on them, 0 to 1.
      teacher_taken: Part for which the teacher itself gives the answer that it gives for the target; None where not measured.
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
    """All that was measured of one run.

    Attributes:
      split: Whose images: `test`, or `validation` where there are none.
      images: How many.
      seed: Of their choice, of noise and of the places where attacks start.
      accuracy: On them as they are, 0 to 1.
      interval: Its 95% interval.
      conditions: Corruptions, then attacks, each by rising strength.
      mimicry: From the shallowest match to the deepest; empty where there is no public teacher.
      chance: Part of the images, as they are, that are answered as their target's class: what mimicry starts from.
      remark: Why nothing was measured of the teacher; empty where it was.
      seconds: That it took.
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

    @property
    def advice(self) -> str:
        """What to do about it, in one sentence."""
        clauses = [self._against_worse_photos(), self._against_mimicry(), self._against_the_whole_network()]
        sentence = "; ".join(clause for clause in clauses if clause)
        return f"{sentence[0].upper()}{sentence[1:]}."

    def to_json(self) -> dict[str, Any]:
        """Returns the audit, advice included, as values of JSON's own types, for `audit.json`."""
        return {**dataclasses.asdict(self), "advice": self.advice}

    def _against_worse_photos(self) -> str:
        middle = [each for each in self.conditions if each.kind == "corruption" and each.strength == _MIDDLE_SEVERITY]
        worst = min(middle, key=lambda condition: condition.accuracy)
        if worst.interval[1] >= self.accuracy:
            return "photos corrupted at the middle severity cost no accuracy that so few images could show"
        remedy = (
            "train with --config.data.augmentation=strong"
            if worst.name in _IN_AUGMENTATION
            else "where photos in use have it, train on such photos, too"
        )
        loss = f"{self.accuracy:.0%} correct, {worst.accuracy:.0%} at severity {worst.strength:g}"
        return f"{worst.name} costs most ({loss}): {remedy}"

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
