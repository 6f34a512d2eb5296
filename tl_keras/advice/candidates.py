"""Names the teachers to advise on, and finds those whose weights are present."""

from __future__ import annotations

import dataclasses

from tl_keras.backbones.specs import backbone_names, backbone_spec
from tl_keras.backbones.weights import is_downloaded
from tl_keras.config import ModelConfig
from tl_keras.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A teacher in the config's terms, `BACKBONE[:WEIGHTS][:ALPHA]`, such as `MobileNet:0.25` or `MobileNetV2:embedded`."""

    backbone: str
    weights: str = "imagenet"
    alpha: float = 0.0

    @property
    def name(self) -> str:
        """Returns the text that `parse_candidate` reads."""
        weights = "" if self.weights == "imagenet" else f":{self.weights}"
        return f"{self.backbone}{weights}{f':{self.alpha:g}' if self.alpha else ''}"

    def choose(self, config: ModelConfig) -> ModelConfig:
        """Returns a copy of a config with this teacher."""
        return dataclasses.replace(config, backbone=self.backbone, weights=self.weights, alpha=self.alpha)


def parse_candidate(text: str) -> Candidate:
    """Parses the text that `Candidate.name` returns.

    Raises:
      ConfigError: It has more than three parts, or the last of three is not a number.
    """
    backbone, *rest = text.split(":")
    *weights, last = rest or [""]
    try:
        alpha = float(last)
    except ValueError:
        weights, alpha = [*weights, last], 0.0
    weights = [part for part in weights if part]
    if not backbone or len(weights) > 1:
        raise ConfigError(
            f"candidates: expected BACKBONE[:WEIGHTS][:ALPHA], such as MobileNet:0.25 or MobileNetV2:embedded. Received: {text}."
        )
    return Candidate(backbone, weights[0] if weights else "imagenet", alpha)


def candidates_at_hand() -> tuple[Candidate, ...]:
    """Returns the teachers whose weights need no download, smallest first."""
    found = []
    for name in backbone_names():
        spec = backbone_spec(name)
        for weights in spec.weights:
            size = weights.preprocess.image_size
            widths = {file.alpha for file in weights.files} or {weights.alpha}
            here = [a for a in widths if not weights.files or is_downloaded(weights.file_for(alpha=a, image_size=size))]
            for alpha in here:
                candidate = Candidate(name, weights.name, 0.0 if alpha == weights.alpha else alpha)
                found.append((spec.parameters * alpha * size**2, candidate))
    return tuple(candidate for _, candidate in sorted(found, key=lambda pair: (pair[0], pair[1].name)))


def preferred_candidate() -> Candidate:
    """Returns the teacher for inspecting data: MobileNetV2, fast and good, or the embedded one if its weights are missing."""
    default = Candidate("MobileNetV2")
    return default if default in candidates_at_hand() else Candidate("MobileNetV2", "embedded")
