"""Finds out what is wrong with your images or texts: damaged files, copies, likely wrong labels, outliers, leaks between splits.

    python -m tl_keras.inspect --data=photos/ --out=report
    python -m tl_keras.inspect --data=photos/ --out=report --serve            (labels that are corrected go into report/labels.csv)
    python -m tl_keras.inspect --data=photos/ --out=report --write_splits=clean.csv

The command writes report/inspection.json and report/inspection.html, a page with thumbnails that needs nothing else; and
report/groups.csv where images belong together that would make an accuracy too high if some were trained on and others measured.
--write_splits writes a CSV file of clean, stratified splits without copies, for --data=csv:clean.csv. No image is changed.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib

from absl import flags

from tl_keras import beam_flags, command_line, path_flags, source_flags
from tl_keras.errors import ConfigError, if_stopped
from tl_keras.files import require_writable, write_texts

source_flags.define("cache_dir", "max_pixels", "significant_bits", "seed")
_OUT = path_flags.define("out", "", "Directory for inspection.json and inspection.html; by default nothing is written.")
beam_flags.define()
_WRITE_SPLITS = path_flags.define("write_splits", "", "CSV file to write clean splits to.")
_SERVE = flags.DEFINE_boolean(
    "serve",
    False,
    "Open the page to this machine and write the labels that are corrected there to labels.csv; needs --out.",
)
_PORT = flags.DEFINE_integer(
    "port", 0, "With --serve: port on this machine; 0 is any free one.", lower_bound=0, upper_bound=65535
)
_TEACHER = flags.DEFINE_string(
    "teacher",
    "",
    "Teacher whose features judge labels, BACKBONE[:WEIGHTS][:ALPHA]; by default MobileNetV2 if present, and MiniLM-L6 for "
    "texts.",
)


def main(arguments: list[str]) -> None:
    """Prints the report on stdout."""
    if arguments or not flags.FLAGS.data:
        raise ConfigError("flags: expected --data=SOURCE. Use --help to see the flags.")
    if _SERVE.value and not _OUT.value:
        raise ConfigError("serve: expected --out=DIRECTORY, where labels.csv is written. Received: no --out. Name one.")
    config = source_flags.config_from_flags()
    beam = beam_flags.beam_options()
    out = pathlib.Path(_OUT.value) if _OUT.value else None
    if out:
        require_writable(out, option="out")
    command_line.require_tensorflow(reading=flags.FLAGS.data)
    from tl_keras.advice.candidates import parse_candidate, preferred_candidate
    from tl_keras.advice.data_page import page
    from tl_keras.advice.data_report import clean_splits, describe, inspect_closely, write_splits
    from tl_keras.advice.data_table import can_be_written, training_command
    from tl_keras.advice.leak import TABLE, write_groups
    from tl_keras.data.options import SourceOptions
    from tl_keras.data.sources import open_source

    source = open_source(config.data.source, SourceOptions.of(config))
    teacher = parse_candidate(_TEACHER.value) if _TEACHER.value else preferred_candidate(source.noun)
    if beam is not None:
        from tl_keras.advice.beam_index import embed_with_beam

        embed_with_beam(dataclasses.replace(config, model=teacher.choose(config.model)), options=beam)
    report = inspect_closely(source, teacher, config)
    if out and report.leak:
        report = dataclasses.replace(report, leak=dataclasses.replace(report.leak, table=str(out / TABLE)))
    print(describe(report))
    if out:
        found = json.dumps(report.to_json(), indent=1) + "\n"
        write_texts(out, {"inspection.json": found, "inspection.html": page(report, config)}, option="out")
        print(f"wrote: {out}/inspection.html, {out}/inspection.json")
        if report.leak and not report.leak.declared and can_be_written(source):
            table = pathlib.Path(report.leak.table)
            write_groups(source, report.leak, table)
            print(f"wrote: {table}; {training_command(table, source, config)}")
    if _WRITE_SPLITS.value:
        path = pathlib.Path(_WRITE_SPLITS.value)
        splits = clean_splits(report, config)
        write_splits(report, splits, path)
        kept = f"{len(splits.train)} train, {len(splits.validation)} validation, {len(splits.test)} test"
        print(f"wrote: {path} ({kept}); {training_command(path, source, config)}")
    if out and _SERVE.value:
        _serve(out / "inspection.html", out / "labels.csv")


@if_stopped("what was saved is in labels.csv")
def _serve(page: pathlib.Path, table: pathlib.Path) -> None:
    """Serves the page until Ctrl-C."""
    from tl_keras.advice.correction_server import CorrectionServer

    with CorrectionServer(page.read_text(encoding="utf-8"), table, port=_PORT.value) as server:
        print(f"open {server.address}; it saves {table}; Ctrl-C ends it", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    command_line.run(main, usage=__doc__)
