"""(i) Forty short runs over seven sets: each ends with its result and a served model, and no planted mistake is exported.

    python -m benchmarks.honest_runs

The real MobileNetV2 of width 0.35 at 128 pixels on some 100 training images a set, by feature extraction and by fine-tuning,
with three seeds and the default export, each by the command in a process of its own. Then each run is exported once more with
a mistake in what prepares its images, of one of four kinds, which the export has to refuse. What failed is said on stderr.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import pathlib
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from unittest import mock

from benchmarks.measuring import Options, Row, environment
from benchmarks.sets import SETS, write_set

_RUNS = 40
_METHODS = ("feature_extraction", "fine_tune")
_SHORT = ("--alpha=0.35", "--image_size=128", "--epochs=4", "--config.training.head_epochs=8", "--noreport")
# Images of a set, spread over its classes.
_MOST = {"train": 100, "test": 40}


def measure(options: Options) -> list[Row]:
    """Returns how many runs ended well, of those started, and how many mistakes of each kind were refused, of those planted."""
    os.environ.update(environment())
    jobs = list(itertools.product(range(options.first_seed, options.first_seed + 3), SETS, _METHODS))[:_RUNS]
    finished, planted, refused = [], Counter[str](), Counter[str]()
    for number, (seed, name, method) in enumerate(jobs):
        workdir = options.folder / f"{name}_{method}_{seed}"
        start, data = time.perf_counter(), _few(name, options.folder)
        said = _lack_of_a_run(data, workdir, method, seed)
        if not said:
            finished.append(workdir)
            mistake = _mistake(workdir, next(data.glob("test/*/*")), turn=number)
            planted[mistake] += 1
            is_refused = _refuses(workdir, MISTAKES[mistake])
            refused[mistake] += is_refused
            said = f"finished; {mistake}: {'refused' if is_refused else 'NOT REFUSED'}"
        took = f"{time.perf_counter() - start:.0f} s"
        print(f"{number + 1}/{len(jobs)} {workdir.name}: {said} ({took})", file=sys.stderr, flush=True)
    ended = Row(
        "runs that end with status 0, result.json and a served model, of those started",
        [len(finished)],
        [len(jobs)],
        "runs",
        1,
    )
    mistakes = [
        Row(f"exports refused, of those with {mistake}", [refused[mistake]], [planted[mistake]], "exports", 1)
        for mistake in MISTAKES
        if planted[mistake]
    ]
    return [ended, *mistakes]


def _few(name: str, folder: pathlib.Path) -> pathlib.Path:
    """Returns a set with few images of each class, which it writes unless it is there."""
    few = folder / "few" / name
    if not few.is_dir():
        for split, most in _MOST.items():
            classes = sorted((write_set(name, folder / "sets") / split).iterdir())
            for images in classes:
                (few / split / images.name).mkdir(parents=True)
                for image in sorted(images.iterdir())[: max(most // len(classes), 4)]:
                    os.link(image, few / split / images.name / image.name)
    return few


def _lack_of_a_run(data: pathlib.Path, workdir: pathlib.Path, method: str, seed: int) -> str:
    """Trains by the command; returns what the run lacks, and "" where it lacks nothing."""
    from tests.forked_commands import run_command

    flags = [f"--data={data}", f"--workdir={workdir}", f"--method={method}", f"--seed={seed}", *_SHORT]
    done = run_command("train", *flags, f"--cache_dir={workdir.parent / 'cache'}")
    if done.returncode:
        return f"exit status {done.returncode}: {(done.stderr.strip().splitlines() or ['nothing said'])[-1]}"
    if not (workdir / "result.json").is_file():
        return "exit status 0, and no result.json"
    return _lack_of_answers(workdir, next(data.glob("test/*/*")))


def _lack_of_answers(workdir: pathlib.Path, image: pathlib.Path) -> str:
    """Asks the SavedModel for one test image."""
    import tensorflow as tf

    answers = tf.saved_model.load(str(workdir / "saved_model" / "1")).signatures["serving_default"]
    label = answers(image_bytes=tf.constant([image.read_bytes()]))["label"].numpy()[0].decode()
    known = (workdir / "labels.txt").read_text(encoding="utf-8").splitlines()
    return "" if label in known else f"the served model answers {label}"


def _changed(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Returns what makes of a preprocessing one whose images, float32 (height, width, 3), 0 to 255, are changed."""

    def mistaken(spec: Any) -> Any:
        class Mistaken(type(spec)):
            def evaluation_transform(self, image: Any) -> Any:
                return change(super().evaluation_transform(image))

        return Mistaken(**spec.to_json())

    return mistaken


def _shifted(pixels: Any) -> Any:
    import tensorflow as tf

    return tf.roll(pixels, 1, axis=1)


# What makes of a preprocessing a wrong one.
MISTAKES: dict[str, Callable[[Any], Any]] = {
    "half a grey level": _changed(lambda pixels: pixels + 0.5),
    "a shift of one pixel": _changed(_shifted),
    "another interpolation": lambda spec: dataclasses.replace(spec, interpolation="bicubic"),
    "blue for red": _changed(lambda pixels: pixels[..., ::-1]),
}


def _mistake(workdir: pathlib.Path, path: pathlib.Path, *, turn: int) -> str:
    """Returns the mistake whose turn it is, or the next one that changes an image: grey ones have no blue for red."""
    import tensorflow as tf

    from tl_keras.runs.directory import RunDirectory
    from tl_keras.serving.model_file import load_model

    spec, image = load_model(RunDirectory(workdir).model).preprocess, tf.constant(path.read_bytes())
    right = spec.evaluation_transform(image)
    kinds = [*MISTAKES][turn % len(MISTAKES) :] + [*MISTAKES][: turn % len(MISTAKES)]
    return next(kind for kind in kinds if not tf.reduce_all(MISTAKES[kind](spec).evaluation_transform(image) == right))


def _refuses(workdir: pathlib.Path, mistake: Callable[[Any], Any]) -> bool:
    """Returns whether the export refuses a model whose images are prepared wrongly, and leaves nothing of it."""
    from tl_keras.errors import ExportError
    from tl_keras.serving import export

    def load_mistaken(path: pathlib.Path) -> Any:
        trained = load_model(path)
        return dataclasses.replace(trained, preprocess=mistake(trained.preprocess))

    load_model = export.load_model
    with mock.patch.object(export, "load_model", load_mistaken):
        try:
            export.export_run(workdir, ["saved_model"])
        except ExportError:
            return not (workdir / "saved_model" / "2").exists()
    return False


if __name__ == "__main__":
    from benchmarks.__main__ import main

    sys.argv.insert(1, "honest_runs")
    main()
