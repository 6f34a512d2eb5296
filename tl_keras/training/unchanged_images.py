"""Checks whether the images of a finished run are still those that it was trained on, without decoding them each time."""

from __future__ import annotations

from tl_keras.config import TransferConfig
from tl_keras.console import say
from tl_keras.data.base import Source
from tl_keras.data.inspection import Reading
from tl_keras.data.source_names import is_absent
from tl_keras.data.sources import SourceOptions, open_source
from tl_keras.errors import DataError, DependencyError, WorkdirError
from tl_keras.runs.directory import RunDirectory
from tl_keras.training.model_cache import ModelCache


def require_unchanged_images(
    run: RunDirectory, config: TransferConfig, source: Source | None, models: ModelCache
) -> None:
    """Raises an error if the images, classes or splits of a finished run have changed; prints a line if they are gone.

    An unchanged revision of the source, that is the same names, sizes and modification times, is enough. If it differs, the
    images are inspected as before training, their hash decides, and the revision is remembered.

    Args:
      run: A finished run.
      config: Config of the run, which names the source.
      source: The source if Python code has opened it already; None means the config's.
      models: Cache that keeps the inspection for the next run.

    Raises:
      WorkdirError: The images have changed.
    """
    options = SourceOptions.of(config)
    try:
        revision = (source or open_source(config.data.source, options)).revision()
        if run.knows_revision(revision):
            return
        say(
            f"{run.path}: names, sizes or times of the images differ from those of the run; checking whether they changed"
        )
        _, inspection = models.images(source or config.data.source, options, Reading.of(config))
    except (DataError, DependencyError) as error:
        if source is None and is_absent(config.data.source):
            say(f"{run.path}: the images of this run cannot be checked ({error})")
            return
        raise WorkdirError(
            f"workdir: the images have changed since the run in {run.path} began: they cannot be used now ({error}). Use "
            "another --workdir, or bring the images back."
        ) from error
    run.check_same_images(inspection.data_hash)
    run.remember_revision(revision)
