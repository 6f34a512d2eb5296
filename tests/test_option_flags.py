"""Tests of tl_keras.option_flags, through the commands' own flags."""

import pathlib
import re
import subprocess
import sys

import pytest

from tl_keras.config import TransferConfig, options_of

ROOT = pathlib.Path(__file__).resolve().parent.parent
WITH_FLAGS = [option for option in options_of(TransferConfig) if option.description.flag]


@pytest.fixture(scope="module")
def help_of_train() -> str:
    """What `train --help` prints, in one line."""
    done = subprocess.run(
        [sys.executable, "-m", "tl_keras.train", "--help"], capture_output=True, text=True, check=True
    )
    return " ".join(done.stdout.split())


@pytest.mark.parametrize("option", WITH_FLAGS, ids=lambda option: option.name)
def test_help_shows_the_description_the_default_and_the_values_of_every_option(help_of_train, option):
    flag = f"--{'[no]' if option.type is bool else ''}{option.description.flag}"
    shown = f"{flag}: {option.description.text} (default: {option.default_as_text})"
    assert (shown if option.type in (bool, str) else f"{shown} ({option.values})") in help_of_train


def test_a_message_names_an_option_by_its_flag_which_commands_without_a_config_have_too():
    paths = "|".join(re.escape(option.path) for option in WITH_FLAGS)
    package = [*(ROOT / "tl_keras").rglob("*.py"), *(ROOT / "tl_keras").rglob("*.html")]
    assert not [found for path in package for found in re.findall(rf"--config\.(?:{paths})\b", path.read_text())]


# What is wrong with an option is said alike, however it is given, and by every command that has it.
REFUSED = [
    (
        "train",
        "--epochs=many",
        "epochs: expected 0 (by the number of images) or a whole number from 1 up. Received: 'many'",
    ),
    (
        "train",
        "--config.training.epochs=many",
        "epochs: expected 0 (by the number of images) or a whole number from 1 up.",
    ),
    ("train", "--batch_size=0", "batch_size: expected a whole number from 1 up. Received: 0. Use 32, the default."),
    (
        "train",
        "--config.model.method=finetune",
        "method: expected one of auto, replicate, feature_extraction, fine_tune.",
    ),
    ("train", "--config.cache.enabled=perhaps", "cache: expected True or False. Received: 'perhaps', which is text."),
    ("train", "--config.training.epoch=3", "--config.training.epoch: expected a field of the config."),
    ("train", "--config.epochs=3", "Did you mean training.epochs?"),
    ("sweep", "--learning_rate=fast", "learning_rate: expected"),
    (
        "evaluate",
        "--task=singlelabel",
        "task: expected one of auto, single_label, multi_label, ordinal, regression. Received: singlelabel.",
    ),
    ("evaluate", "--max_pixels=0", "max_pixels: expected a whole number from 1 up. Received: 0."),
    ("advise", "--seed=-1", "seed: expected a whole number from 0 to 2147483647. Received: -1."),
    ("inspect", "--significant_bits=7", "significant_bits: expected 0"),
    ("advise", "--significant_bits=17", "significant_bits: expected 0"),
    ("inspect", "--columns=imag=id", "columns: expected one of image, text, label, split, group. Received: imag."),
]


@pytest.fixture(scope="module")
def answers() -> dict[str, str]:
    """What is said to each of the lines of `REFUSED`."""
    lines = [f"python -m tl_keras.{command} {flag} --data=photos/" for command, flag, _ in REFUSED]
    lines = [line.replace("evaluate", "evaluate --model=run1") for line in lines]
    asked = [sys.executable, str(ROOT / "tests" / "parse_commands.py")]
    said = subprocess.check_output(asked, input="\n".join(lines), text=True, cwd=ROOT)
    return dict(zip([flag for _, flag, _ in REFUSED], said.splitlines(), strict=True))


@pytest.mark.parametrize(("command", "flag", "message"), REFUSED)
def test_a_value_that_an_option_cannot_have_is_refused_in_one_line(answers, command, flag, message):
    assert answers[flag].startswith("error: ")
    assert message in answers[flag]
