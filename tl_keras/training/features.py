"""Computes the outputs of the frozen layers for a run's images once, and reads them from the cache afterwards."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.backbones.preprocessing import Preprocess
from tl_keras.builder import Student
from tl_keras.config import TransferConfig
from tl_keras.console import Level, say
from tl_keras.data.base import Source
from tl_keras.data.batch_shard import BatchShard
from tl_keras.data.order import on_host, ordered
from tl_keras.data.pipeline import (
    TargetFn,
    epoch_shuffle_seed,
    over_epochs,
    steps_per_epoch,
    view_batches,
    view_of_epoch,
)
from tl_keras.data.progress_bar import progress_bar
from tl_keras.training.feature_cache import FeatureCache, FeatureRows, RowReader, RowSpec
from tl_keras.training.forward import Forward, fastest_forward
from tl_keras.training.split_student import SplitStudent, between
from tl_keras.training.versions import versions
from tl_keras.user_folders import cache_folder

# Number of images that go through the frozen layers together: enough to keep every core busy, few enough for its cache.
_BATCH = 32

# A spinning disk, or one behind a network, delivers no more bytes per second. Features that take longer to read than to compute
# are not worth keeping.
_SLOW_DISK = 200e6

# Number of batches before that is judged; the first ones also trace and warm up.
_WARM_UP = 4

# Marks a missing row.
_NOT_NEEDED, _MISSING = -1, -2


@dataclasses.dataclass(frozen=True)
class ViewsOfImages:
    """The images of a run, as often as its training shows them.

    Attributes:
      source: Source of the images.
      contents: SHA-256 of each image of the source, as 64 hex digits.
      evaluated: int64 (k,), images that are only needed plain, as evaluation sees them.
      trained: int64 (m,), images that are trained on.
      views: Number of views of each of those, shown in turn; the first is plain, the others are augmented.
      evaluation_transform: Function from an image as the source has it, encoded or pixels, to the network's input.
      training_transform: Function from such an image and a seed to the network's input.
      without_padding: Function from a batch of the network's inputs to one without what pads all of them.
      augmentation: Name of the changes that `training_transform` makes.
      seed: Seed of the run.
    """

    source: Source
    contents: np.ndarray
    evaluated: np.ndarray
    trained: np.ndarray
    views: int
    evaluation_transform: Callable[[tf.Tensor], tf.Tensor]
    training_transform: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    without_padding: Callable[[tf.Tensor], tf.Tensor]
    augmentation: str
    seed: int

    def wanted(self) -> list[np.ndarray]:
        """Returns the indices, ascending, of the images that are needed in each view."""
        return [np.union1d(self.evaluated, self.trained), *[np.unique(self.trained)] * (self.views - 1)]

    def key(self, view: int, index: int) -> bytes:
        """Returns the key of one view of one image in the cache, 32 bytes, from its content and its variation."""
        content = str(self.contents[index])
        if view == 0:
            return bytes.fromhex(content)
        return hashlib.sha256(f"{content} {self.augmentation} {self.seed} {view} {index}".encode()).digest()

    def batches(self, view: int, indices: np.ndarray) -> tf.data.Dataset:
        """Returns a dataset of (index int64 (b,), network input float32 (b, H, W, 3))."""
        transform = self.training_transform if view else lambda image, seed: self.evaluation_transform(image)
        batches = view_batches(self.source, indices, transform=transform, seed=self.seed, view=view, batch_size=_BATCH)
        return batches.map(lambda index, inputs: (index, self.without_padding(inputs)))


@dataclasses.dataclass(frozen=True)
class Features:
    """The activations at one cut of every image of a run, on disk.

    Attributes:
      reader: Reader of the rows.
      rows: int64 (views, images of the source): the row of each image in each view, the plain one first; negative where none
        is needed.
    """

    reader: RowReader
    rows: np.ndarray

    @property
    def missing(self) -> int:
        """Returns how many of the needed rows are missing; 0 after they were computed."""
        return int((self.rows == _MISSING).sum())

    def training_batches(
        self,
        indices: np.ndarray,
        *,
        targets: TargetFn,
        global_batch_size: int,
        seed: int,
        first_epoch: int,
        last_epoch: int,
        weights: np.ndarray | None = None,
        shard: BatchShard | None = None,
    ) -> tf.data.Dataset:
        """Returns the batches of `tl_keras.data.pipeline.training_batches` as the frozen layers' outputs."""
        rows, to_example = on_host(self.rows), self._to_example(targets)

        def batches_of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            order = ordered(indices, shuffle_seed=epoch_shuffle_seed(seed, epoch), weights=weights)
            view = view_of_epoch(epoch, len(self.rows))
            examples = tf.data.Dataset.from_tensor_slices((order, tf.gather(rows[view], order)))
            batches = _sharded(examples, shard, len(indices), global_batch_size)
            return batches.map(lambda *example: to_example(view, *example))

        return over_epochs(batches_of_epoch, first_epoch, last_epoch, steps_per_epoch(len(indices), global_batch_size))

    def evaluation_batches(
        self,
        indices: np.ndarray,
        *,
        targets: TargetFn,
        global_batch_size: int,
        shard: BatchShard | None = None,
    ) -> tf.data.Dataset:
        """Returns the batches of `tl_keras.data.pipeline.evaluation_batches` as the frozen layers' outputs."""
        order = np.sort(indices)
        examples = tf.data.Dataset.from_tensor_slices((order, self.rows[0, order]))
        batches = _sharded(examples, shard, len(order), global_batch_size)
        plain, to_example = tf.constant(0, tf.int64), self._to_example(targets)
        return batches.map(lambda *example: to_example(plain, *example)).prefetch(1)

    def _to_example(self, targets: TargetFn) -> Callable[..., Any]:
        shapes = self.reader.spec.shapes

        def to_example(view: tf.Tensor, indices: tf.Tensor, rows: tf.Tensor, *weights: tf.Tensor) -> tuple[Any, ...]:
            tensors = tf.numpy_function(self.reader, [rows], [tf.float32] * len(shapes))
            tensors = tuple(
                tf.ensure_shape(tensor, (None, *shape)) for tensor, shape in zip(tensors, shapes, strict=True)
            )
            return tensors if len(tensors) > 1 else tensors[0], targets(indices, view), *weights

        return tf.autograph.experimental.do_not_convert(to_example)


class FeatureStore:
    """Provides the features of one run at its cuts, from the cache or computed from the images.

    Args:
      cache: Cache that runs share.
      images: Images of the run.
      kind: Facts that decide activations besides image, weights and cut, as JSON types.
      inference_engine: Engine that computes them: `auto` or one of `tl_keras.training.forward.ENGINES`.
      dtype: Type in which they are stored, `float32` or `float16`.
      once: Whether they will be read once, and are kept even if that takes longer than computing them.

    Attributes:
      seconds_a_row: Seconds to compute a row, with reading its image, by the position of each cut that computed two batches.
    """

    def __init__(
        self,
        cache: FeatureCache,
        images: ViewsOfImages,
        kind: dict[str, Any],
        *,
        inference_engine: str,
        dtype: str,
        once: bool = False,
    ):
        self._cache = cache
        self._images = images
        self._kind = {**kind, "bfloat16": inference_engine.endswith("bf16")}
        self._inference_engine = inference_engine
        self._dtype = dtype
        self._once = once
        self.seconds_a_row: dict[int, float] = {}
        self._expected_rows = 0

    @property
    def count(self) -> int:
        """Returns the number of rows needed at each cut, including those that exist."""
        return sum(len(indices) for indices in self._images.wanted())

    def at(self, student: Student | None, cut: SplitStudent, *, others: Iterable[SplitStudent] = ()) -> Features | None:
        """Returns the features at a cut, or None, after a line with the reason, if keeping them does not pay.

        Call it for shallow cuts first, so that the layers between two cuts start from what is cached already.

        Args:
          student: Student that is cut; None where there are no `others`.
          cut: The cut.
          others: Cuts at which the features may be cached already.

        Raises:
          WorkdirError: The disk is full.
        """
        if not cut.has_features:
            return None
        rows = self._rows(cut)
        features = self._find(rows)
        if not features.missing:
            say(
                f"frozen layers: computed before for these {len(self._images.contents)} images, in {rows.folder}",
                Level.DETAIL,
            )
            return features
        reason = self._refusal(rows)
        if not reason:
            with rows.locked():
                reason = self._compute(student, cut, others, rows)
                features = self._find(rows)
        if reason:
            say(f"frozen layers: computed at every step, because {reason}")
            return None
        return features

    def only(self, indices: np.ndarray, *, source: Source | None = None) -> FeatureStore:
        """Returns a store of some images, which computes them by the engine that suits all images.

        Args:
          indices: int64 (k,), the images.
          source: Source to read them from; None for the source of all.
        """
        images, fewer = self._images, copy.copy(self)
        fewer._images = dataclasses.replace(
            images,
            source=source or images.source,
            evaluated=np.intersect1d(images.evaluated, indices),
            trained=np.intersect1d(images.trained, indices),
        )
        fewer.seconds_a_row, fewer._expected_rows = {}, self.count
        return fewer

    def missing(self, cut: SplitStudent) -> np.ndarray:
        """Returns which images lack a needed row at a cut with features, bool (views, images)."""
        return self._find(self._rows(cut)).rows == _MISSING

    def keeps(self, cut: SplitStudent) -> bool:
        """Returns whether a cut has features, and room for them."""
        return cut.has_features and not self._refusal(self._rows(cut))

    def _refusal(self, rows: FeatureRows) -> str:
        """Returns why rows cannot be kept, in a few words, or an empty string."""
        return self._cache.refusal(rows.spec.nbytes_on_disk(self.count))

    def _compute(
        self, student: Student | None, cut: SplitStudent, others: Iterable[SplitStudent], rows: FeatureRows
    ) -> str:
        """Computes the missing part of locked rows; returns why it did not, or an empty string."""
        features = self._find(rows)
        if not features.missing:
            say(f"frozen layers: computed by another run meanwhile, in {rows.folder}", Level.DETAIL)
            return ""
        missing = rows.spec.nbytes_on_disk(features.missing)
        if reason := self._cache.make_room(missing, needed=rows.spec.nbytes_on_disk(self.count), keep=rows):
            return reason
        if not rows.nbytes:  # the existing rows were removed to make room
            features = self._find(rows)
        start = self._start(cut, others, features)
        model = cut.frozen if start is None or student is None else between(student, start[0], cut)
        return self._fill(rows, features, model, start[1] if start else None, position=cut.position)

    def _rows(self, cut: SplitStudent) -> FeatureRows:
        assert cut.frozen is not None
        shapes = tuple(tuple(tensor.shape[1:]) for tensor in cut.frozen.outputs)
        return self._cache.rows({**self._kind, **cut.identity}, RowSpec(shapes, self._dtype))

    def _start(
        self, cut: SplitStudent, others: Iterable[SplitStudent], features: Features
    ) -> tuple[SplitStudent, Features] | None:
        """Returns the deepest earlier cut at which everything that is missing here is cached, if any."""
        for other in sorted(others, key=lambda other: other.position, reverse=True):
            if other.has_features and other.position < cut.position:
                rows = self._rows(other)
                cached = self._find(rows)
                if (cached.rows[features.rows == _MISSING] >= 0).all():
                    return other, cached
        return None

    def _find(self, rows: FeatureRows) -> Features:
        """Returns the cached rows of every view of every image."""
        reader = rows.reader()
        found: np.ndarray = np.full((self._images.views, len(self._images.source)), _NOT_NEEDED, np.int64)
        for view, indices in enumerate(self._images.wanted()):
            positions = reader.find([self._images.key(view, index) for index in indices.tolist()])
            found[view, indices] = np.where(positions < 0, _MISSING, positions)
        return Features(reader, found)

    def _fill(
        self, rows: FeatureRows, features: Features, model: keras.Model, start: Features | None, *, position: int
    ) -> str:
        """Computes the missing rows.

        Args:
          rows: Rows to add to, locked.
          features: Features from `_find`.
          model: Model from the images, or from the activations at the start, to the missing activations.
          start: Activations at an earlier cut, or None.
          position: Position of the cut.

        Returns:
          The reason for giving up, in a few words, or an empty string.
        """
        total = features.missing
        size, limit = rows.spec.nbytes_on_disk(total) / 2**20, self._cache.limit_gib
        say(f"frozen layers: {total:,} images, {size:,.1f} MiB (limit {limit:g} GiB), computed once", Level.DETAIL)
        forward: Forward | None = None
        seconds_an_image: list[float] = []
        with progress_bar("frozen layers, once", images=total) as bar:
            began = time.perf_counter()
            for view, batch, tensors in self._inputs(features, start):
                if forward is None:
                    forward = self._forward(model, tensors, images=max(total, self._expected_rows))
                activations = forward.call(tensors)
                if not rows.spec.holds(activations):
                    return f"{self._dtype} (--config.cache.dtype) does not hold activations as large as theirs"
                rows.append([self._images.key(view, index) for index in batch.tolist()], activations)
                bar.update(len(batch))
                seconds_an_image.append((time.perf_counter() - began) / len(batch))
                began = time.perf_counter()
                judged = len(seconds_an_image) == _WARM_UP and not self._once
                if judged and rows.spec.nbytes / _SLOW_DISK > min(seconds_an_image):
                    size = rows.spec.nbytes / 2**20
                    return f"at this cut they give {size:.1f} MiB an image, which takes longer to read than to compute"
        if timed := seconds_an_image[1:]:  # the first batch traces, which takes as long as many
            self.seconds_a_row[position] = float(np.median(timed))
        say(f"frozen layers: kept in {rows.folder}" + (f"; {forward.reason}" if forward else ""), Level.DETAIL)
        return ""

    def _forward(self, model: keras.Model, tensors: list[np.ndarray], *, images: int) -> Forward:
        return fastest_forward(
            model, tensors, engine=self._inference_engine, images=images, memory=self._cache.folder / "engines.json"
        )

    def _inputs(self, features: Features, start: Features | None) -> Iterator[tuple[int, np.ndarray, list[np.ndarray]]]:
        """Yields (view, indices, tensors) for missing rows; tensors are images, or their activations at the earlier cut."""
        for view, rows in enumerate(features.rows):
            indices = np.flatnonzero(rows == _MISSING)
            if start is None:
                for batch, images in self._images.batches(view, indices):
                    yield view, batch.numpy(), [images.numpy()]
                continue
            for first in range(0, len(indices), _BATCH):
                batch = indices[first : first + _BATCH]
                yield view, batch, start.reader(start.rows[view, batch])


def feature_store_of(
    config: TransferConfig, backbone: str, preprocess: Preprocess, images: ViewsOfImages, *, once: bool = False
) -> FeatureStore:
    """Returns the store in which runs with a config keep what the frozen layers of a network make of some images.

    Args:
      config: Config whose cache is used.
      backbone: Name of the architecture.
      preprocess: Preprocessing from an image to its input.
      images: The images, and the views of them.
      once: Whether the features are read only once; see `FeatureStore`.
    """
    kind = {
        "backbone": backbone,
        "backend": keras.backend.backend(),
        "preprocess": preprocess.to_json(),
        "versions": versions(),
    }
    cache = FeatureCache(cache_folder(config.cache.folder), limit_gib=config.cache.limit_gib)
    return FeatureStore(
        cache, images, kind, inference_engine=config.cache.inference_engine, dtype=config.cache.dtype, once=once
    )


def _sharded(
    examples: tf.data.Dataset, shard: BatchShard | None, images: int, global_batch_size: int
) -> tf.data.Dataset:
    """Returns the batches of an epoch, or a shard of them, without reading anything yet."""
    batches = examples.batch(global_batch_size)
    return shard.of(batches, images=images, global_batch_size=global_batch_size) if shard else batches
