"""Formats the findings of an audit as text."""

from __future__ import annotations

from typing import Any

from tl_keras.console import in_words


def as_text(audit: dict[str, Any]) -> str:
    """Returns the figures as tables, and the advice."""
    measured = f"{audit['images']} {audit['split']} {audit.get('noun', 'image')}s"
    score = in_words(audit.get("score_name", "accuracy"))
    lines = [f"{measured}, {score} {_with_interval(audit['accuracy'], audit['interval'])}"]
    depths = [row["depth"] + (" (cut)" if row["is_cut"] else "") for row in audit["mimicry"]]
    matched = "mimicry, matched after"
    column = max(25, len(f"{score} (95% interval) "))
    width = max(map(len, [*depths, matched, *(row["name"] for row in audit["conditions"])]))
    lines.append(f"{'':<{width}} {'strength':>8}  {f'{score} (95% interval)':<{column}}{'unchanged':>10}{'teacher':>9}")
    lines += [
        f"{row['name']:<{width}} {row['strength']:>8g}  {_with_interval(row['accuracy'], row['interval']):<{column}}"
        f"{row['unchanged']:>10.3f}{_or_dash(row['teacher_unchanged']):>9}"
        for row in audit["conditions"]
    ]
    if audit["mimicry"]:
        lines.append(f"{matched:<{width}} {'strength':>8}  {'taken (95% interval)':<25}{'accuracy':>10}{'teacher':>9}")
        lines.append(f"{'(nothing)':<{width}} {0:>8}  {audit['chance']:.3f}")
    lines += [
        f"{depth:<{width}} {row['strength']:>8g}  "
        f"{_with_interval(row['taken'], row['interval']):<25}{row['accuracy']:>10.3f}{_or_dash(row['teacher_taken']):>9}"
        for depth, row in zip(depths, audit["mimicry"], strict=True)
    ]
    return "\n".join([*lines, *([audit["remark"]] if audit["remark"] else []), audit["advice"]])


def _with_interval(share: float, interval: tuple[float, float]) -> str:
    return f"{share:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def _or_dash(share: float | None) -> str:
    return "-" if share is None else f"{share:.3f}"
