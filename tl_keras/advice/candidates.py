"""Names the teachers to advise on, and finds those whose weights are present."""

from __future__ import annotations

import dataclasses

from tl_keras.backbones.specs import TEXT_TEACHERS, backbone_names, backbone_spec
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

    @property
    def published_top1(self) -> float:
        """Returns the published ImageNet accuracy of these weights, 0 to 1; 0 if there is none, as for files."""
        if self.weights != "imagenet" or self.backbone not in backbone_names():
            return 0.0
        spec = backbone_spec(self.backbone)
        return spec.top1(self.alpha or spec.default_weights.alpha)

    def choose(self, config: ModelConfig) -> ModelConfig:
        """Returns a copy of a config with this teacher."""
        return dataclasses.replace(config, backbone=self.backbone, weights=self.weights, alpha=self.alpha)


def parse_candidate(text: str) -> Candidate:
    """Parses the text that `Candidate.name` returns.

    Raises:
      ConfigError: It has more than three parts, or the last of three is not a number.
    """
    scheme, separator, rest_of_text = text.rpartition("://")  # as in hf://USER/NAME
    backbone, *rest = rest_of_text.split(":")
    backbone = f"{scheme}{separator}{backbone}"
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


_DEFAULT = Candidate("MobileNetV2")


def candidates_at_hand(noun: str = "image") -> tuple[Candidate, ...]:
    """Returns the teachers whose weights need no download: the default one, if it is here, and then the smallest first.

    Where time is short, only the first ones are tried.

    Args:
      noun: Word for the data, `image` or `text`, whose teachers come in packages: one that is missing is an error when it is used.
    """
    if noun == "text":
        return tuple(Candidate(name) for name in TEXT_TEACHERS)
    from tl_keras.backbones.weights import is_at_hand  # with TensorFlow, which a name is read without

    found = []
    for name in backbone_names():
        spec = backbone_spec(name)
        for weights in spec.weights:
            size = weights.preprocess.image_size
            widths = {file.alpha for file in weights.files} or {weights.alpha}
            here = [a for a in widths if not weights.files or is_at_hand(weights.file_for(alpha=a, image_size=size))]
            for alpha in here:
                candidate = Candidate(name, weights.name, 0.0 if alpha == weights.alpha else alpha)
                found.append((candidate != _DEFAULT, spec.parameters * alpha * size**2, candidate.name, candidate))
    return tuple(candidate for *_, candidate in sorted(found, key=lambda each: each[:3]))


def preferred_candidate(noun: str = "image") -> Candidate:
    """Returns the teacher for inspecting data: MobileNetV2, fast and good, or the embedded one if its weights are missing.

    Args:
      noun: Word for the data, `image` or `text`, whose teacher is MiniLM-L6.
    """
    if noun == "text":
        return Candidate(TEXT_TEACHERS[0])
    return _DEFAULT if _DEFAULT in candidates_at_hand() else Candidate("MobileNetV2", "embedded")
