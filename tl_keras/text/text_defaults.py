"""Fills in what a run on texts leaves open: the teacher, the cut and rate, no augmentation, and the number of tokens."""

from __future__ import annotations

import dataclasses

import numpy as np

from tl_keras.backbones.specs import TEXT_TEACHERS, takes_texts
from tl_keras.config import CAUTIOUS_CUT, CAUTIOUS_FINE_TUNE_FACTOR, ModelConfig, TransferConfig, epochs_for
from tl_keras.config.defaults import DEFAULT_FINE_TUNE_FACTOR, FEWEST_STEPS
from tl_keras.data.base import Source
from tl_keras.data.text_lines import text_of
from tl_keras.errors import BackboneError, ConfigError
from tl_keras.text.teachers import read_text_teacher
from tl_keras.text.tokenizing import count_tokens

_MULTIPLE = 8  # of which processors take whole ones
_MOST_COUNTED = 20_000
# Devlin et al. 2019, "BERT", appendix A.3, fine-tune for two to four epochs.
_FINE_TUNING_EPOCHS = 4


def for_texts(config: TransferConfig) -> TransferConfig:
    """Returns a config for texts; the default teacher of images becomes that of texts.

    Args:
      config: The user's config.

    Raises:
      BackboneError: The teacher takes no texts.
      ConfigError: Images alone can be varied as the config says.
    """
    model, data = dataclasses.replace(config.model), dataclasses.replace(config.data)
    if model.backbone == ModelConfig().backbone:
        model.backbone = TEXT_TEACHERS[0]
    if not takes_texts(model.backbone):
        raise BackboneError(
            f"backbone: expected {', '.join(TEXT_TEACHERS)} or a folder with config.json, tokenizer.json and model.safetensors "
            f"for the texts of {data.source}. Received: {model.backbone}."
        )
    if data.augmentation not in ("", "none") or data.mixup or data.cutmix:
        raise ConfigError(
            "augmentation, mixup, cutmix: expected none of them for texts, which are not varied. Received: "
            f"{data.augmentation or 'mixup or cutmix'}. Leave them out."
        )
    data.augmentation = "none"
    training = dataclasses.replace(config.training)
    if model.method == "fine_tune":
        # LoRA wants more: the scripts of Hu et al. 2021 have 3e-4 to 5e-4 for RoBERTa (microsoft/LoRA, examples/NLU); unmeasured.
        usual = DEFAULT_FINE_TUNE_FACTOR if model.lora_rank else CAUTIOUS_FINE_TUNE_FACTOR
        training.fine_tune_learning_rate_factor = training.fine_tune_learning_rate_factor or usual
        model.unfreeze = model.unfreeze or ("" if model.unfreeze_schedule else CAUTIOUS_CUT)
    return dataclasses.replace(config, model=model, data=data, training=training)


def fitted_to_texts(config: TransferConfig, source: Source, train: np.ndarray) -> tuple[TransferConfig, str]:
    """Returns the config with the epochs and the number of tokens that suit the texts, and a sentence on the tokens.

    It is `with_epochs_of_texts`, then `with_length`.
    """
    return with_length(with_epochs_of_texts(config, train), source, train)


def with_epochs_of_texts(config: TransferConfig, train: np.ndarray) -> TransferConfig:
    """Returns the config with the epochs of fine-tuning, if they were left open: four, or what makes enough steps.

    Args:
      config: Config whose teacher takes texts.
      train: int64 (n,), the texts that are trained on.
    """
    training = config.training
    if config.model.method != "fine_tune" or training.epochs:
        return config
    epochs = epochs_for(
        len(train),
        global_batch_size=training.global_batch_size,
        steps=FEWEST_STEPS["fine-tuning"],
        fewest=_FINE_TUNING_EPOCHS,
    )
    return dataclasses.replace(config, training=dataclasses.replace(training, epochs=epochs))


def with_length(config: TransferConfig, source: Source, train: np.ndarray) -> tuple[TransferConfig, str]:
    """Returns the config with its number of tokens, and a sentence on it.

    Args:
      config: Config whose teacher takes texts.
      source: The texts.
      train: int64 (n,), those that are trained on.
    """
    teacher = read_text_teacher(config.model.backbone)
    some = train[:: max(1, len(train) // _MOST_COUNTED)]
    counts = count_tokens(teacher.tokenizer, [text_of(source, int(i)) for i in some])
    needed = -(-max(int(counts.max()), _MULTIPLE) // _MULTIPLE) * _MULTIPLE
    tokens = config.model.max_tokens or min(needed, teacher.most_tokens)
    cut = float(np.mean(counts > tokens))
    remark = f"texts of {counts.min()} to {counts.max()} tokens, {np.median(counts):g} in the middle; the first {tokens} are read"
    if cut:
        remark += f", so that {cut:.1%} of the texts are cut"
    return dataclasses.replace(config, model=dataclasses.replace(config.model, max_tokens=tokens)), remark
