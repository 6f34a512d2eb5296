"""Recommends a teacher, a method and a cut for your images or texts, with reasons, and prints the `train` command.

    python -m tl_keras.advise --data=photos/
    python -m tl_keras.advise --data=photos/ --candidates=MobileNetV2,MobileNet:0.25,MobileNetV2:embedded --budget=10min

Each teacher runs once over a sample of the training images, and training will reuse the features that it computes.
Candidates are BACKBONE[:WEIGHTS][:ALPHA]; without --candidates, those whose weights need no download.
"""

from __future__ import annotations

import json

from absl import flags

from tl_keras import command_line, option_flags, source_flags
from tl_keras.advice.candidates import parse_candidate
from tl_keras.config import ModelConfig, parse_budget
from tl_keras.errors import ConfigError

source_flags.define("cache_dir", "significant_bits", "seed")
_CANDIDATES = flags.DEFINE_list("candidates", [], "Teachers to try, BACKBONE[:WEIGHTS][:ALPHA], comma-separated.")
_BUDGET = flags.DEFINE_string("budget", "", "Time for advice and training together, such as 90s, 10min or 2h.")
_JSON = flags.DEFINE_boolean("json", False, "Print JSON.")


def main(arguments: list[str]) -> None:
    """Prints the evidence and the recommendation on stdout."""
    if arguments or not flags.FLAGS.data:
        raise ConfigError("flags: expected --data=SOURCE. Use --help to see the flags.")
    budget = parse_budget(_BUDGET.value)
    named = [parse_candidate(text) for text in _CANDIDATES.value]
    for candidate in named:
        option_flags.check_teacher(candidate.choose(ModelConfig()))
    config = source_flags.config_from_flags()
    command_line.require_tensorflow(reading=flags.FLAGS.data)
    from tl_keras.advice.advisor import advise, describe
    from tl_keras.advice.candidates import candidates_at_hand
    from tl_keras.data.options import SourceOptions
    from tl_keras.data.table_source import noun_of

    noun = noun_of(config.data.source, SourceOptions.of(config))
    advice = advise(config, named or candidates_at_hand(noun), budget_seconds=budget, try_recipes=True)
    print(json.dumps(advice.to_json(), indent=1) if _JSON.value else describe(advice))


if __name__ == "__main__":
    command_line.run(main, usage=__doc__)
