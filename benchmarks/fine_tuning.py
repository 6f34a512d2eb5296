"""Which rate, cut, length and augmentation fine-tune a small teacher best: `python -m benchmarks.fine_tuning FOLDER`.

Every set of `benchmarks.sets` is cut down to some 150 labelled images, drawn again for each seed. A head is trained on the frozen
MobileNetV2 as a run does, then each variant of `VARIANTS` fine-tunes from there: the draw, the head and the order of the images
are the same for all, so that the differences are paired. What a run does besides (validation, checkpoints, the choice of an epoch,
the export) is left out, which makes a trial several times shorter: `benchmarks.recipe` measures whole runs. The test images are
also answered as the mean of each and its mirror image. FOLDER gets `fine_tuning.jsonl`; what is there is not trained again.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.measuring import TEST_DATA
from benchmarks.recipe import draw, read
from benchmarks.sets import SETS

# One network for all sets: the outputs that a set has no class for are masked.
_MOST_CLASSES = 40
_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Variant:
    """How the teacher's layers are trained after the head.

    Attributes:
      view: How images become square; see `--resize`.
      cut: Layers that train, in the language of `--unfreeze`.
      rate: Adam's peak rate.
      steps: Steps of fine-tuning, with warm-up and cosine.
      batch: Images per step.
      augmentation: `none`, or `light` as `--augmentation` has it; `gentle` crops at most 20%; `turned` also turns by quarters.
      views: Variations of each image besides the plain one that are shown in turn; 0 for a new one in each epoch.
      plain: Epochs that show the plain image in place of a new view: every `fourth`, those of the last quarter (`end`), or none.
      batch_norm: `freeze`, or `train` with batch statistics.
      head_steps: Steps of the head before.
      smoothing: Label smoothing.
      ema: Momentum of the average of weights that is judged; 0 for none.
      towards_teacher: Decay towards the teacher's weights (L2-SP).
      mixup: Alpha of MixUp's distribution; 0 for none.
      layer_decay: Factor on the rate per block of distance from the head.
      pixels: Size of the images that fine-tuning sees; 0 for that of evaluation.
      held_back: Whether every seventh image is held back, as a run holds back validation images.
      steps_on_all: Steps after those, with a schedule of their own, on all images.
    """

    view: str = "squash"
    cut: str = "fraction:0.7"
    rate: float = 1e-4
    steps: int = 200
    batch: int = _BATCH
    augmentation: str = "light"
    views: int = 3
    plain: str = ""
    batch_norm: str = "freeze"
    head_steps: int = 500
    smoothing: float = 0.0
    ema: float = 0.0
    towards_teacher: float = 0.0
    mixup: float = 0.0
    layer_decay: float = 1.0
    pixels: int = 0
    held_back: bool = False
    steps_on_all: int = 0


_ALL = Variant(cut="all", rate=3e-4)
_NEW = dataclasses.replace(_ALL, views=0)
_HELD = dataclasses.replace(_NEW, held_back=True)

VARIANTS: dict[str, Variant] = {
    "crop, blocks:4": Variant(view="original", cut="blocks:4"),
    "0.7, 1e-4": Variant(),
    "0.7, 3e-4": Variant(rate=3e-4),
    "0.7, 1e-3": Variant(rate=1e-3),
    "0.85, 3e-4": Variant(cut="fraction:0.85", rate=3e-4),
    "0.85, 1e-3": Variant(cut="fraction:0.85", rate=1e-3),
    "all, 1e-4": Variant(cut="all"),
    "all, 3e-4": _ALL,
    "all, 1e-3": Variant(cut="all", rate=1e-3),
    "all, 1e-3, 500 steps": Variant(cut="all", rate=1e-3, steps=500),
    "all, 1e-3, none": Variant(cut="all", rate=1e-3, augmentation="none"),
    "all, 3e-4, none": dataclasses.replace(_ALL, augmentation="none"),
    "all, 3e-4, gentle": dataclasses.replace(_ALL, augmentation="gentle"),
    "all, 3e-4, new views": _NEW,
    "all, 3e-4, new views, every fourth epoch plain": dataclasses.replace(_NEW, plain="fourth"),
    "all, 3e-4, new views, last quarter plain": dataclasses.replace(_NEW, plain="end"),
    "all, 3e-4, new views, smoothing": dataclasses.replace(_NEW, smoothing=0.1),
    "all, 3e-4, new views, 400 steps of 16": dataclasses.replace(_NEW, steps=400, batch=16),
    "all, 3e-4, new views, 400 steps": dataclasses.replace(_NEW, steps=400),
    "all, 3e-4, new views, head 50": dataclasses.replace(_NEW, head_steps=50),
    "all, 3e-4, new views, L2-SP": dataclasses.replace(_NEW, towards_teacher=10.0),
    "all, 3e-4, new views, 192 px": dataclasses.replace(_NEW, pixels=192),
    "all, 3e-4, new views, 80 px": dataclasses.replace(_NEW, pixels=80),
    "all, 3e-4, new views, 112 px": dataclasses.replace(_NEW, pixels=112),
    "all, 3e-4, new views, 96 px": dataclasses.replace(_NEW, pixels=96),
    "all, 3e-4, new views, gentle": dataclasses.replace(_NEW, augmentation="gentle"),
    "all, 3e-4, new views, EMA": dataclasses.replace(_NEW, ema=0.97),
    "all, 3e-4, new views, MixUp": dataclasses.replace(_NEW, mixup=0.2),
    "all, 6e-4, new views": dataclasses.replace(_NEW, rate=6e-4),
    "all, 1e-3, new views": dataclasses.replace(_NEW, rate=1e-3),
    "all, 1e-3, new views, every fourth epoch plain": dataclasses.replace(_NEW, rate=1e-3, plain="fourth"),
    "all, 1e-3, new views, decay by depth": dataclasses.replace(_NEW, rate=1e-3, layer_decay=0.85),
    "all, 3e-4, 1/7 held back": dataclasses.replace(_ALL, held_back=True),
    "all, 3e-4, new views, 1/7 held back": _HELD,
    "all, 3e-4, new views, 1/7 held back, then 80 steps on all": dataclasses.replace(_HELD, steps_on_all=80),
    "all, 3e-4, turned": dataclasses.replace(_NEW, augmentation="turned"),
    "all, 3e-4, BatchNorm trains": dataclasses.replace(_ALL, batch_norm="train"),
    "all, 3e-4, 500 steps": dataclasses.replace(_ALL, steps=500),
    "all, 3e-4, 100 steps": dataclasses.replace(_ALL, steps=100),
    "all, 3e-4, 1/7 held back, then 60 steps on all": dataclasses.replace(_ALL, held_back=True, steps_on_all=60),
    "all, 3e-4, 400 steps of 16": dataclasses.replace(_ALL, steps=400, batch=16),
    "all, 3e-4, head 50": dataclasses.replace(_ALL, head_steps=50),
    "all, 1e-3, head 50": Variant(cut="all", rate=1e-3, head_steps=50),
    "all, 1e-3, head 50, BatchNorm trains": Variant(cut="all", rate=1e-3, head_steps=50, batch_norm="train"),
    "all, 3e-4, smoothing": dataclasses.replace(_ALL, smoothing=0.1),
    "all, 3e-4, EMA": dataclasses.replace(_ALL, ema=0.97),
    "all, 3e-4, MixUp": dataclasses.replace(_ALL, mixup=0.2),
    "all, 3e-4, L2-SP": dataclasses.replace(_ALL, towards_teacher=10.0),
    "0.7, 1e-3, none": Variant(rate=1e-3, augmentation="none"),
    "0.7, 3e-4, none": Variant(rate=3e-4, augmentation="none"),
    "0.7, 3e-4, new views": Variant(rate=3e-4, views=0),
    "0.7, 3e-4, BatchNorm trains": Variant(rate=3e-4, batch_norm="train"),
    "0.7, 1e-3, BatchNorm trains": Variant(rate=1e-3, batch_norm="train"),
    "all, 1e-3, BatchNorm trains": Variant(cut="all", rate=1e-3, batch_norm="train"),
    "all, 1e-3, BatchNorm trains, none": Variant(cut="all", rate=1e-3, batch_norm="train", augmentation="none"),
}


class Draw:
    """The images of one draw at the teacher's size, plain and varied, each made once.

    Args:
      path: Folder of the draw, of `benchmarks.recipe.draw`.
      preprocess: The teacher's preprocessing.
      seed: Seed of the variations.
    """

    def __init__(self, path: pathlib.Path, preprocess: Any, seed: int):
        from tl_keras.data.decoded import DecodedSource
        from tl_keras.data.mirroring import measure_mirroring
        from tl_keras.data.sources import open_source
        from tl_keras.data.thumbnail_classifier import draw_thumbnails

        source = open_source(str(path))
        self._source = DecodedSource(source, np.arange(len(source)), preprocess.decode)
        self._preprocess, self._seed = preprocess, seed
        splits = self._source.declared_splits
        self.train, self.test = (np.flatnonzero(splits == split) for split in ("train", "test"))
        self.labels, self.classes = self._source.labels, len(self._source.class_names)
        self.mirrors = measure_mirroring(draw_thumbnails(self._source, self.train, seed=seed)).allowed
        self._made: dict[tuple[Any, ...], np.ndarray] = {}

    def plain(self, view: str, split: str) -> np.ndarray:
        """Returns the images of `train` or `test` as they are evaluated, uint8 (n, size, size, 3)."""
        transform = self._preprocess.with_resize(view).evaluation_transform
        return self._all((view, split), getattr(self, split), lambda image, seed: transform(image), 0)

    def varied(self, view: str, augmentation: str, number: int, *, pixels: int = 0) -> np.ndarray:
        """Returns one variation of each training image, uint8 (n, size, size, 3)."""
        if augmentation == "none" or number == 0:
            return self.plain(view, "train")
        preprocess = self._preprocess.with_resize(view)
        if pixels:
            preprocess = preprocess.with_image_size(pixels)
        transform = _variation(preprocess, augmentation, mirrors=self.mirrors)
        return self._all((view, augmentation, number, pixels), self.train, transform, number)

    def _all(self, key: tuple[Any, ...], indices: np.ndarray, transform: Any, number: int) -> np.ndarray:
        import tensorflow as tf

        from tl_keras.data.pipeline import view_batches

        if key not in self._made:
            batches = view_batches(
                self._source, indices, transform=transform, seed=self._seed, view=number, batch_size=64
            )
            images = np.concatenate([images.numpy() for _, images in batches])
            self._made[key] = np.asarray(tf.cast(tf.round(images), tf.uint8))
        return self._made[key]


def _variation(spec: Any, augmentation: str, *, mirrors: bool) -> Any:
    """Returns a function from an image and a seed to a varied image of the network's size."""
    import tensorflow as tf

    from tl_keras.data.augmentation import make_augmentation, random_resized_crop
    from tl_keras.training.transforms import training_transform

    if augmentation == "light":
        return training_transform(spec, augmentation="light", horizontal_flip=mirrors)
    light = make_augmentation("light", horizontal_flip=mirrors)

    def vary(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        crop_seed, light_seed, turn_seed = tf.unstack(tf.random.split(seed, 3))
        image = spec.evaluation_transform(image)
        if augmentation == "turned":
            turns = tf.random.stateless_uniform((), turn_seed, 0, 4, tf.int32)
            image = tf.image.rot90(image, turns)
        cropped = random_resized_crop(image, crop_seed, image_size=spec.image_size, min_area=0.8, resize=spec.resize)
        return light(cropped, light_seed)

    return vary


class Trainer:
    """MobileNetV2, and the traced steps that all sets share.

    Args:
      alpha: Width of the network.
      size: Height and width of its input.
    """

    def __init__(self, alpha: float, size: int):
        from tl_keras.builder import build_student, choose_backbone
        from tl_keras.config import ModelConfig

        # The weights of the nearest size that are at hand.
        trained_at = 128 if alpha == 0.35 and size < 224 else 224
        weights = (
            TEST_DATA
            / f"keras_home/models/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{trained_at}_no_top.h5"
        )
        self._config = ModelConfig(alpha=alpha, image_size=size, weights=str(weights), resize="squash", unfreeze="all")
        self._teacher = choose_backbone(self._config)
        self._student = build_student(self._teacher, self._config, num_classes=_MOST_CLASSES, seed=0)
        self.preprocess = self._teacher.preprocess
        self._initial = [variable.numpy() for variable in self._student.model.variables]
        self._mask = np.zeros(_MOST_CLASSES, np.float32)
        self._traced: dict[tuple[Any, ...], Any] = {}
        self._heads: dict[tuple[Any, ...], list[np.ndarray]] = {}

    def run(self, images: Draw, variant: Variant, seed: int) -> dict[str, float]:
        """Returns the test accuracies of a variant: after the head, before training on images held back, and at the end."""
        for variable, value in zip(self._student.model.variables, self._initial, strict=True):
            variable.assign(value)
        self._mask = np.where(np.arange(_MOST_CLASSES) < images.classes, 0.0, -1e9).astype(np.float32)
        head_key = (id(images), variant.view, variant.augmentation, variant.head_steps, variant.held_back)
        head = self._student.head[-1]
        if head_key not in self._heads:
            frozen = dataclasses.replace(
                variant, cut="none", rate=1e-2, steps=variant.head_steps, batch=_BATCH, views=variant.views or 3
            )
            self._train(images, dataclasses.replace(frozen, **_PLAIN), seed)
            self._heads[head_key] = [variable.numpy() for variable in head.variables]
        for variable, value in zip(head.variables, self._heads[head_key], strict=True):
            variable.assign(value)
        of_head = self._evaluate(images, variant)
        if variant.steps:
            self._train(images, variant, seed)
        before = {}
        if variant.steps_on_all:
            before = {f"held_back_{name}": value for name, value in self._evaluate(images, variant).items()}
            self._train(images, dataclasses.replace(variant, steps=variant.steps_on_all, held_back=False), seed + 1)
        of_head = {f"head_{name}": value for name, value in of_head.items()}
        return {**of_head, **before, **self._evaluate(images, variant)}

    def _evaluate(self, images: Draw, variant: Variant) -> dict[str, float]:
        from scipy.special import log_softmax

        plain = images.plain(variant.view, "test")
        right = images.labels[images.test]
        logits = {side: self._logits(plain[:, :, ::step]) for side, step in (("plain", 1), ("mirrored", -1))}
        both = np.mean([np.exp(log_softmax(each, axis=1)) for each in logits.values()], axis=0)
        loss = -log_softmax(logits["plain"], axis=1)[np.arange(len(right)), right].mean()
        return {
            "test": float((logits["plain"].argmax(1) == right).mean()),
            "with_mirror": float((both.argmax(1) == right).mean()),
            "loss": float(loss),
        }

    def _logits(self, pixels: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        if ("logits",) not in self._traced:
            self._traced["logits",] = tf.function(
                lambda batch: self._student.model(tf.cast(batch, tf.float32), training=False), reduce_retracing=True
            )
        batches = [self._traced["logits",](pixels[first : first + 50]).numpy() for first in range(0, len(pixels), 50)]
        return np.concatenate(batches) + self._mask

    def _step(self, variant: Variant) -> tuple[Any, Any, Any]:
        """Returns the frozen part as a function, or None; the optimizer; and a step from inputs and targets."""
        key = (
            variant.cut,
            variant.batch_norm,
            variant.ema,
            variant.towards_teacher,
            variant.layer_decay,
            variant.batch,
            variant.pixels,
        )
        if key not in self._traced:
            self._traced[key] = self._trace(variant)
        return self._traced[key]

    def _trace(self, variant: Variant) -> tuple[Any, Any, Any]:
        import keras
        import tensorflow as tf

        from tl_keras.builder import plan_student
        from tl_keras.distribution.folded_batch_norm import folded_batch_norm
        from tl_keras.training.optimizers import TransferAdam, VariableTreatment
        from tl_keras.training.split_student import split_student

        config = dataclasses.replace(self._config, batch_norm=variant.batch_norm)
        plan = plan_student(self._teacher, self._student.backbone, config, unfreeze=variant.cut)
        plan.apply(self._student.backbone)
        split, from_output = split_student(self._student, plan), plan.blocks_from_output(self._student.backbone)
        for layer in self._student.backbone.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.9
        trained = _of_any_size(split.trained) if variant.pixels else split.trained
        variables = trained.trainable_variables
        head = {id(variable) for variable in self._student.head[-1].variables}
        treatments = [
            VariableTreatment(
                rate_factor=variant.layer_decay ** (from_output.get(id(variable), -1) + 1),
                decay=variant.towards_teacher if variant.towards_teacher and id(variable) not in head else 1e-4,
                decay_towards=variable.numpy() if variant.towards_teacher and id(variable) not in head else None,
            )
            if "kernel" in variable.path
            else VariableTreatment(rate_factor=variant.layer_decay ** (from_output.get(id(variable), -1) + 1))
            for variable in variables
        ]
        optimizer = TransferAdam(treatments, ema_momentum=variant.ema)
        optimizer.build(variables)

        @tf.function(reduce_retracing=True)
        def step(inputs: Any, targets: Any, mask: Any) -> Any:
            with tf.GradientTape() as tape, folded_batch_norm(trained):
                logits = trained(tf.cast(inputs, tf.float32), training=True) + mask
                # As in a run, where each image of an epoch counts alike.
                loss = tf.reduce_sum(tf.nn.softmax_cross_entropy_with_logits(targets, logits)) / variant.batch
            optimizer.apply_gradients(zip(tape.gradient(loss, [v.value for v in variables]), variables, strict=True))
            return loss

        frozen = None
        if split.frozen is not None:
            frozen = tf.function(lambda batch: split.frozen(tf.cast(batch, tf.float32), training=False))
        return frozen, optimizer, step

    def _train(self, images: Draw, variant: Variant, seed: int) -> None:
        import keras

        frozen, optimizer, step = self._step(variant)
        keras.utils.set_random_seed(seed)
        rows: np.ndarray = np.arange(len(images.train))  # in the order of the classes
        if variant.held_back:
            rows = rows[rows % 7 != 3]
        count, random = len(rows), np.random.default_rng(seed)
        epochs = max(10, -(-variant.steps // -(-count // variant.batch)))
        optimizer.begin(learning_rate=variant.rate, steps=epochs * -(-count // variant.batch), warmup_fraction=0.1)
        targets = np.eye(_MOST_CLASSES, dtype=np.float32)[images.labels[images.train]]
        uniform = (np.arange(_MOST_CLASSES) < images.classes) / images.classes
        targets = ((1 - variant.smoothing) * targets + variant.smoothing * uniform).astype(np.float32)
        kept: dict[int, np.ndarray] = {}
        for epoch in range(epochs):
            view = epoch % (1 + variant.views) if variant.views else epoch + 1
            if (variant.plain == "fourth" and epoch % 4 == 0) or (variant.plain == "end" and epoch >= 0.75 * epochs):
                view = 0
            if view not in kept:
                pixels = images.varied(variant.view, variant.augmentation, view, pixels=variant.pixels)
                kept = kept if variant.views else {}
                kept[view] = pixels if frozen is None else _in_batches(frozen, pixels)
            order = rows[random.permutation(count)]
            for first in range(0, count, variant.batch):
                chosen = order[first : first + variant.batch]
                if variant.batch_norm == "train" and len(chosen) < variant.batch / 2:
                    chosen = np.concatenate([chosen, order[: variant.batch // 2]])
                inputs, wanted = kept[view][chosen], targets[chosen]
                if variant.mixup:
                    share, partner = (
                        np.float32(random.beta(variant.mixup, variant.mixup)),
                        random.permutation(len(chosen)),
                    )
                    inputs = share * inputs + (1 - share) * inputs[partner]
                    wanted = share * wanted + (1 - share) * wanted[partner]
                step(inputs, wanted, self._mask)
        if variant.ema:
            optimizer.finalize_variable_values(optimizer._trainable_variables)


# What concerns the layers of the teacher, for the head alone.
_PLAIN = {
    "batch_norm": "freeze",
    "smoothing": 0.0,
    "ema": 0.0,
    "towards_teacher": 0.0,
    "mixup": 0.0,
    "layer_decay": 1.0,
    "pixels": 0,
}


def _of_any_size(model: Any) -> Any:
    """Returns a model from images to logits that shares the layers of another and takes images of any size."""
    import keras

    from tl_keras.keras_internals import call_layers_again, is_graph

    images = keras.Input((None, None, 3))
    return keras.Model(
        images,
        call_layers_again(
            model,
            images,
            instead=lambda layer: functools.partial(call_layers_again, layer) if is_graph(layer) else layer,
        ),
    )


def _in_batches(function: Any, pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([function(pixels[first : first + 50]).numpy() for first in range(0, len(pixels), 50)])


def main() -> None:
    """Trains what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--alpha", type=float, default=0.35)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="print what is there, train nothing")
    parser.add_argument(
        "--sets", nargs="+", choices=SETS, default=[name for name in SETS if name != "views_from_above"]
    )
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments = parser.parse_args()
    os.environ["KERAS_HOME"] = str(TEST_DATA / "keras_home")
    path = arguments.folder / "fine_tuning.jsonl"
    if not arguments.table:
        train(arguments, path)
    rows = [row for row in read(path) if (row["alpha"], row["size"]) == (arguments.alpha, arguments.size)]
    print(table(rows, arguments.variants))


def train(arguments: argparse.Namespace, path: pathlib.Path) -> None:
    """Trains what is missing, and adds each result to the file."""
    from tl_keras.command_line import require_tensorflow

    require_tensorflow()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    trainer, draws = Trainer(arguments.alpha, arguments.size), {}
    keys = ("alpha", "size", "dataset", "seed", "variant")
    for variant in arguments.variants:
        for dataset in arguments.sets:
            for seed in arguments.seeds:
                trial = dict(zip(keys, (arguments.alpha, arguments.size, dataset, seed, variant), strict=True))
                if any(trial.items() <= row.items() for row in read(path)):
                    continue
                if (dataset, seed) not in draws:
                    draws[dataset, seed] = Draw(draw(dataset, seed, arguments.folder), trainer.preprocess, seed)
                began = time.perf_counter()
                figures = trainer.run(draws[dataset, seed], VARIANTS[variant], seed)
                figures["seconds"] = round(time.perf_counter() - began, 1)
                with path.open("a") as file:
                    file.write(json.dumps({**trial, **figures}) + "\n")
                print(json.dumps({**trial, **figures}), flush=True)


def table(rows: Sequence[Mapping[str, Any]], variants: Sequence[str]) -> str:
    """Returns the test accuracies of each set and variant, and the paired differences from the first variant, as Markdown."""
    found = {(row["dataset"], row["seed"], row["variant"]): row for row in rows}
    sets = list(dict.fromkeys(row["dataset"] for row in rows))
    columns = [variant for variant in variants if any(key[2] == variant for key in found)]
    lines = [
        f"| variant | {' | '.join(name.replace('_', ' ') for name in sets)} | points against the first | with mirror |"
    ]
    lines.append(f"|---|{'---|' * (len(sets) + 2)}")
    for variant in columns:
        cells, gains, mirrored = [], [], []
        for name in sets:
            own = {key[1]: row for key, row in found.items() if (key[0], key[2]) == (name, variant)}
            first = {key[1]: row for key, row in found.items() if (key[0], key[2]) == (name, columns[0])}
            cells.append(f"{np.mean([row['test'] for row in own.values()]):.3f}" if own else "")
            if pairs := [seed for seed in own if seed in first]:
                gains.append(float(np.mean([own[seed]["test"] - first[seed]["test"] for seed in pairs])))
                mirrored.append(float(np.mean([own[seed]["with_mirror"] - first[seed]["test"] for seed in pairs])))
        lines.append(f"| {variant} | {' | '.join(cells)} | {_with_error(gains)} | {_with_error(mirrored)} |")
    return "\n".join(lines)


def _with_error(gains: Sequence[float]) -> str:
    if len(gains) < 2:
        return ""
    return f"{100 * np.mean(gains):+.1f} ± {100 * np.std(gains, ddof=1) / np.sqrt(len(gains)):.1f} ({len(gains)})"


if __name__ == "__main__":
    main()
