"""Writes docs/options.md from the descriptions of the options, which `--help` and errors have as well.

python tools/list_options.py           writes it
python tools/list_options.py --check   exit status 1 where it is not current
"""

from __future__ import annotations

import dataclasses
import inspect
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tl_keras.config import Option, TransferConfig, options_of  # noqa: E402

PAGE = ROOT / "docs" / "options.md"
# The parts of the config that are configs themselves, by their names.
PARTS = {field.name: field.type for field in dataclasses.fields(TransferConfig) if dataclasses.is_dataclass(field.type)}
HEAD = """# Every option

Written by `python tools/list_options.py` from the fields in `tl_keras/config/`; `--help` and the messages of errors are made from
the same.

`train`, `sweep`, `distill` and `tpu_check` take these options: each field as `--config.FIELD=VALUE`, those with a flag as
`--FLAG=VALUE` too. A flag beats the recipe (`--config=FILE.py`), which beats the default. In Python they are the fields of a
`tl_keras.TransferConfig`, such as `config.training.epochs`. `config.json` in the run directory has the values that a run used,
with those filled in that were left open.
"""


def summary(kind: type) -> str:
    """Returns the docstring of a class without its Example."""
    return (inspect.getdoc(kind) or "").partition("\n\nExample:")[0]


def row(option: Option) -> str:
    """Returns the line of an option."""
    flag = f"`--{option.description.flag}`" if option.description.flag else ""
    zero = "0" if option.type in (int, float) else "empty"
    values = f"{option.values}; {zero}: {option.description.zero}" if option.description.zero else option.values
    default = "empty" if option.default == "" else f"`{option.default}`"
    return f"| `{option.path}` | {flag} | {default} | {values} | {option.description.text} |"


def listed() -> str:
    """Returns the page: a table for each part of the config."""
    options = list(options_of(TransferConfig))
    sections = []
    for part, kind in {**PARTS, "": TransferConfig}.items():
        rows = [row(option) for option in options if option.path.rpartition(".")[0] == part]
        title = f"`config.{part}`" if part else "The rest of `config`"
        sections.append(
            f"\n## {title}\n\n{summary(kind)}\n\n| field | flag | default | values | |\n|---|---|---|---|---|\n"
            + "\n".join(rows)
            + "\n"
        )
    return HEAD + "".join(sections)


if __name__ == "__main__":
    written = listed()
    if sys.argv[1:] == ["--check"]:
        sys.exit(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != written)
    PAGE.write_text(written, encoding="utf-8")
