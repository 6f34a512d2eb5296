"""What the user chooses: a `TransferConfig` and its parts, typed, validated, to JSON and back.

Zero and the empty string mean "not chosen": `resolve` fills such fields from the method and the source, so that
`config.json` in the run directory holds every value that was used. Nothing here imports TensorFlow.
"""

import dataclasses
import json
import shlex
from typing import Any

from tl_keras.errors import ConfigError, nearest
from tl_keras.locked import Locked, plain, require_types
from tl_keras.unfreeze import parse_unfreeze

METHODS = ("replicate", "feature_extraction", "fine_tune")
HEADS = ("linear", "mlp")
BATCH_NORM_POLICIES = ("freeze", "train", "recalibrate")
AUGMENTATIONS = ("none", "light", "strong")
CLASS_WEIGHTS = ("none", "balanced")
BACKGROUNDS = ("white", "black")
RESIZE_RULES = ("original", "squash", "pad")
PRECISIONS = ("auto", "float32", "bfloat16")
TASKS = ("auto", "single_label")
SPLIT_MEANINGS = ("train", "validation", "test", "unused")
COLUMNS = ("image", "label", "split", "group")
STRATEGIES = ("auto", "cpu", "gpu", "mirrored", "multi_worker", "tpu", "jax")
ENGINES = ("auto", "keras", "tf_graph", "tf_graph_bf16", "xla", "openvino", "openvino_bf16")
CACHE_DTYPES = ("float32", "float16")
EXPORTS = ("saved_model", "litert", "litert_float16", "litert_int8", "onnx", "openvino")

DEFAULT_SIGNIFICANT_BITS = 16

# The 48 megapixels of a telephone's camera fit. While it is decoded and resized, each pixel takes 16 to 35 bytes.
DEFAULT_MAX_PIXELS = 50_000_000

HORIZONTAL_FLIPS = ("auto", "on", "off")
# As versions before `auto` wrote it, and as --config.data.horizontal_flip=False gives it.
_FORMER_FLIPS = {True: "on", False: "off", "True": "on", "False": "off", "true": "on", "false": "off"}

# A head starts from random weights and wants a large step. A whole network from random weights learns at three times Adam's
# customary 1e-3 in half the steps: 700 MNIST images, 16 epochs, 0.78 against 0.55 (docs/benchmarks.md).
DEFAULT_LEARNING_RATES = {"replicate": 3e-3, "feature_extraction": 1e-2, "fine_tune": 1e-2}

# BiT's rule trains 500 steps on fewer than 20,000 images (Kolesnikov et al. 2020, section 3.3). A head on cached features
# does that in seconds; random weights need three times as many. Layers of the teacher move at a hundredth of its rate, and
# fewer steps do; docs/benchmarks.md.
FEWEST_STEPS = {"head": 500, "fine-tuning": 200, "all layers": 1500}


@dataclasses.dataclass
class DataConfig(Locked):
    """Which images, how they are split and how they are varied in training."""

    source: str = ""  # a directory, csv:FILE, tfrecord:GLOB, tfds:NAME[/config], npz:FILE or digits
    data_dir: str = ""  # where prepared TFDS datasets lie; empty: TFDS's own default
    max_pixels: int = DEFAULT_MAX_PIXELS  # of one image; larger ones are left out
    splits: str = (
        ""  # what other names of splits mean, as fold_1=train,fold_2=test,old=unused; none: no folder is a split
    )
    columns: str = ""  # of a table, as image=id,label=breed,split=fold; group=none: a column of that name says nothing
    images_in: str = ""  # the folder of the images that a table names; empty: the table's own
    validation_fraction: float = 0.15  # of the images, where the source declares no validation split
    test_fraction: float = 0.15  # of the images, where the source declares no split at all
    train_examples_per_class: int = 0  # at most so many labelled training images a class; 0: all
    augmentation: str = ""  # none, light or strong; empty: by the method
    augmented_views: int = (
        3  # shown in turn with the plain image, so that frozen layers see each once; replicate: always new
    )
    horizontal_flip: str = "auto"  # part of light and strong: on, off, or auto, which asks the training images
    mixup: float = 0.0  # alpha of MixUp's Beta distribution; 0: off. 0.2 is customary
    cutmix: float = 0.0  # alpha of CutMix's; 0: off. 1.0 is customary

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "horizontal_flip" and isinstance(value, (bool, str)):
            value = _FORMER_FLIPS.get(value, value)
        super().__setattr__(name, value)


@dataclasses.dataclass
class ModelConfig(Locked):
    """Which teacher, what is kept of it, and the head on top."""

    backbone: str = "MobileNetV2"
    weights: str = "imagenet"  # imagenet, embedded, none, or a .weights.h5, .h5 or .keras file
    alpha: float = 0.0  # width multiplier of MobileNet and MobileNetV2; 0: that of the weights
    image_size: int = 0  # pixels, height and width; 0: that of the weights
    resize: str = "original"  # original (short side and centre crop, as the teacher was evaluated), squash or pad
    background: str = "white"  # white or black: what transparent pixels are laid over
    significant_bits: int = 0  # of 16-bit PNG files, 8 to 16: 12 for many scanners; 0: 16, refused where all use fewer
    method: str = "fine_tune"  # replicate, feature_extraction or fine_tune
    unfreeze: str = ""  # none, all, blocks:N, layers:N, fraction:F, from:NAME or regex:R; empty: by the method
    unfreeze_schedule: str = ""  # fine_tune in stages, as blocks:1@0,blocks:2@4: from epoch 4 on the last two blocks
    batch_norm: str = "freeze"  # freeze, train or recalibrate: BatchNorm of the unfrozen layers in fine_tune
    head: str = "linear"  # linear or mlp
    head_units: int = 256  # width of the hidden layer of the mlp head
    dropout: float = 0.2  # before the logits, 0 to below 1


@dataclasses.dataclass
class TrainingConfig(Locked):
    """How the student is trained."""

    epochs: int = 0  # passes over the training images in the last phase; 0: by their number
    head_epochs: int = 0  # passes of fine_tune's first phase, the head alone; 0: by their number
    global_batch_size: int = 32  # images a step, over all replicas
    learning_rate: float = 0.0  # peak rate of random weights (the head; the network in replicate); 0: by the method
    find_learning_rate: bool = False  # measure the peak rate before the first phase (--learning_rate=auto)
    fine_tune_learning_rate_factor: float = 0.01  # the rate of fine_tune's second phase, as a part of learning_rate
    layer_decay: float = 1.0  # factor on the rate for each block further from the head, above 0 to 1
    warmup_fraction: float = 0.1  # of the steps of a phase, from 0 up to the peak; then a cosine down to 0
    weight_decay: float = 1e-4  # AdamW's, decoupled; not on biases and normalisation
    teacher_decay: float = 0.0  # the same, but of pre-trained weights and towards the teacher's values (L2-SP); 0: off
    ema_momentum: float = (
        0.0  # of the moving average of the weights that is evaluated and kept; 0: off. 0.99 is customary
    )
    label_smoothing: float = 0.0  # 0 to below 1
    class_weights: str = "none"  # none or balanced (inverse frequency, mean 1 over the training images)
    early_stopping_patience: int = (
        0  # epochs without a better validation score before a phase ends; 0: never, see the cosine out
    )


@dataclasses.dataclass
class CacheConfig(Locked):
    """What is computed once and kept. Rounding apart, it decides how fast a run is, not what comes out of it."""

    enabled: bool = True
    folder: str = ""  # of activations of frozen layers; empty: tl_keras in XDG_CACHE_HOME, or in ~/.cache
    limit_gib: float = 20.0  # what the folder may take, over all runs that share it
    engine: str = "auto"  # what computes them: auto, or keras, tf_graph, tf_graph_bf16, xla, openvino, openvino_bf16
    dtype: str = "float32"  # how they are stored: float32, or float16 in half the room
    decoded_gib: float = (
        1.0  # of memory for decoded images, where each epoch reads them; larger data is decoded each time
    )


@dataclasses.dataclass
class TransferConfig(Locked):
    """Everything that decides a run, apart from where it is written."""

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    cache: CacheConfig = dataclasses.field(default_factory=CacheConfig)
    task: str = "auto"  # auto (stops where labels look like several, numbers or groups) or single_label (they are what they are)
    strategy: str = "auto"  # auto, cpu, gpu, mirrored, multi_worker, tpu or jax
    replicas: int = 0  # devices that train together, with mirrored and jax, over all processes; 0: every one there is
    precision: str = "auto"  # of the backbone while it trains: float32, bfloat16, or auto, which is bfloat16 on a TPU
    seed: int = 0
    price_per_hour: float = 0.0  # of the machine, in any currency, for `time_to_accuracy` in result.json; 0: unknown
    export: str = "saved_model"  # any of saved_model, litert, litert_float16, litert_int8, onnx, openvino; or none


def quick_start() -> TransferConfig:
    """The run without `--data`: the embedded teacher, moved to scikit-learn's digits with ten labels a class."""
    return TransferConfig(
        data=DataConfig(
            source="digits",
            train_examples_per_class=10,
            # Half of the 1,797 scans measure, a tenth choose the epoch: ten labels a class are only for training.
            validation_fraction=0.1,
            test_fraction=0.5,
            augmentation="none",  # a scan of 8 x 8 pixels has nothing to spare
            horizontal_flip="off",
        ),
        model=ModelConfig(backbone="MobileNetV2", weights="embedded", method="fine_tune"),
        training=TrainingConfig(epochs=10, global_batch_size=16),
    )


def resolve(config: TransferConfig) -> TransferConfig:
    """Returns a validated copy in which what the method decides is filled in.

    Args:
      config: What the user chose.

    Returns:
      A new config, with `learning_rate`, `augmentation` and `unfreeze` set. `image_size` and `alpha` may still be 0:
      the weights decide them (`tl_keras.builder.choose_backbone`), and the training loop fills them in. `epochs` and
      `head_epochs` may stay 0 (`with_epochs`), `strategy` and `precision` auto (`Hardware.chosen`).

    Raises:
      ConfigError: A field is out of its range, or two fields contradict each other.
    """
    validate(config)
    resolved = from_json(to_json(config))
    model, training = resolved.model, resolved.training
    training.learning_rate = training.learning_rate or DEFAULT_LEARNING_RATES[model.method]
    # Frozen layers need to see each image once only; augmentation has them see it several times. Random weights have not
    # learnt the plain images yet when a short run ends.
    data = resolved.data
    data.augmentation = data.augmentation or ("light" if model.method == "fine_tune" else "none")
    if data.augmentation == "none" and data.horizontal_flip == "auto":
        data.horizontal_flip = "off"
    if model.method == "fine_tune":
        last_stage = parse_schedule(model.unfreeze_schedule, training.epochs)[-1][0] if model.unfreeze_schedule else ""
        model.unfreeze = last_stage or model.unfreeze or "blocks:4"
    else:
        model.unfreeze = {"replicate": "all", "feature_extraction": "none"}[model.method]
        training.head_epochs = 0
    return resolved


def validate(config: TransferConfig) -> None:
    """Raises a ConfigError that names the first field out of its range; looks at no file and loads nothing."""
    require_types(config)
    data, model, training = config.data, config.model, config.training
    if not data.source:
        raise ConfigError(
            "data: expected a directory, csv:FILE, tfrecord:GLOB, tfds:NAME, npz:FILE or digits. Received nothing. "
            "Use --data=photos/."
        )
    _require_one_of("method", model.method, METHODS)
    _require_one_of("head", model.head, HEADS)
    _require_one_of("batch_norm", model.batch_norm, BATCH_NORM_POLICIES)
    _require_one_of("resize", model.resize, RESIZE_RULES)
    _require_one_of("background", model.background, BACKGROUNDS)
    _require_one_of("augmentation", data.augmentation or "none", AUGMENTATIONS)
    _require_one_of("horizontal_flip", _FORMER_FLIPS.get(data.horizontal_flip, data.horizontal_flip), HORIZONTAL_FLIPS)
    _require_one_of("class_weights", training.class_weights, CLASS_WEIGHTS)
    _require_one_of("task", config.task, TASKS)
    parse_splits(data.splits)
    parse_columns(data.columns)
    _require_one_of("strategy", config.strategy, STRATEGIES)
    _require_one_of("precision", config.precision, PRECISIONS)
    _require_one_of("engine", config.cache.engine, ENGINES)
    _require_one_of("cache dtype", config.cache.dtype, CACHE_DTYPES)
    export_formats(config.export)

    _require("epochs", training.epochs, training.epochs >= 0, "0 (by the number of images) or more")
    _require("head_epochs", training.head_epochs, training.head_epochs >= 0, "0 (by the number of images) or more")
    _require("batch_size", training.global_batch_size, training.global_batch_size >= 1, "at least 1; 32 is customary")
    _require("image_size", model.image_size, model.image_size >= 0, "0 (the teacher's own) or a size in pixels")
    _require("alpha", model.alpha, model.alpha >= 0, "0 (that of the weights) or a positive factor")
    bits = model.significant_bits
    _require("significant_bits", bits, bits == 0 or 8 <= bits <= 16, "0 (as the files are) or 8 to 16")
    _require("head_units", model.head_units, model.head_units >= 1, "at least 1")
    _require("dropout", model.dropout, 0 <= model.dropout < 1, "from 0 to below 1")
    _require("learning_rate", training.learning_rate, 0 <= training.learning_rate < 10, "0 (by the method) to below 10")
    _require("weight_decay", training.weight_decay, 0 <= training.weight_decay < 1, "from 0 to below 1")
    _require("label_smoothing", training.label_smoothing, 0 <= training.label_smoothing < 1, "from 0 to below 1")
    _require("warmup_fraction", training.warmup_fraction, 0 <= training.warmup_fraction < 1, "from 0 to below 1")
    _require("early_stopping_patience", training.early_stopping_patience, training.early_stopping_patience >= 0, "0 up")
    _require(
        "train_examples_per_class", data.train_examples_per_class, data.train_examples_per_class >= 0, "0 (all) up"
    )
    _require(
        "augmented_views", data.augmented_views, data.augmented_views >= 1, "1 or more; --augmentation=none for none"
    )
    _require("mixup", data.mixup, data.mixup >= 0, "0 (off) or more")
    _require("cutmix", data.cutmix, data.cutmix >= 0, "0 (off) or more")
    _require("layer_decay", training.layer_decay, 0 < training.layer_decay <= 1, "above 0 to 1")
    _require("teacher_decay", training.teacher_decay, 0 <= training.teacher_decay < 1, "from 0 to below 1")
    _require("ema_momentum", training.ema_momentum, 0 <= training.ema_momentum < 1, "from 0 to below 1")
    _require("cache_gib", config.cache.limit_gib, config.cache.limit_gib > 0, "above 0")
    _require("decoded_gib", config.cache.decoded_gib, config.cache.decoded_gib >= 0, "0 or more")
    _require("price_per_hour", config.price_per_hour, config.price_per_hour >= 0, "0 (unknown) or more")
    _require("max_pixels", data.max_pixels, data.max_pixels >= 1, f"at least 1; {DEFAULT_MAX_PIXELS} unless given")
    _require("replicas", config.replicas, 0 <= config.replicas <= 4096, "from 0 (every device) up")
    _require("seed", config.seed, 0 <= config.seed < 2**31, "from 0 to 2147483647")
    _require("validation_fraction", data.validation_fraction, 0 < data.validation_fraction < 1, "between 0 and 1")
    _require("test_fraction", data.test_fraction, 0 <= data.test_fraction < 1, "from 0 to below 1")
    held_out = data.validation_fraction + data.test_fraction
    _require(
        "validation_fraction + test_fraction", held_out, held_out < 1, "below 1, so that something is left to train on"
    )
    factor = training.fine_tune_learning_rate_factor
    # Pre-trained weights want small steps: at the head's own rate a probe of 0.69 fell to 0.17.
    _require("fine_tune_learning_rate_factor", factor, 0 < factor <= 0.1, "above 0 and at most 0.1")

    if model.unfreeze:
        parse_unfreeze(model.unfreeze)
    if model.unfreeze and model.method != "fine_tune":
        fixed = {"replicate": "all", "feature_extraction": "none"}[model.method]
        if model.unfreeze != fixed:
            raise ConfigError(
                f"unfreeze: method {model.method} always has unfreeze={fixed}. Received: {model.unfreeze}. "
                "Use --method=fine_tune to choose the cut."
            )
    if model.unfreeze_schedule:
        stages = parse_schedule(model.unfreeze_schedule, training.epochs)  # which needs --epochs
        if model.method != "fine_tune" or model.unfreeze not in ("", stages[-1][0]):
            raise ConfigError(
                "unfreeze_schedule: stands in place of unfreeze, in method fine_tune. Received: "
                f"method {model.method}, unfreeze={model.unfreeze or 'nothing'}. Leave one of them out."
            )
    if model.method == "fine_tune" and model.unfreeze == "none":
        raise ConfigError(
            "unfreeze: fine_tune trains some layers of the teacher. Received: none. Use --method=feature_extraction "
            "to train only the head, or --unfreeze=blocks:2."
        )


def with_epochs(config: TransferConfig, *, images: int) -> TransferConfig:
    """Returns a copy in which the epochs that were left open are filled in, by the number of training images.

    Args:
      config: Resolved.
      images: To train on.
    """
    filled = from_json(to_json(config))
    training, method = filled.training, filled.model.method

    def by_number(phase: str) -> int:
        return epochs_for(images, global_batch_size=training.global_batch_size, steps=FEWEST_STEPS[phase])

    last = {"replicate": "all layers", "feature_extraction": "head", "fine_tune": "fine-tuning"}[method]
    training.epochs = training.epochs or by_number(last)
    if method == "fine_tune":
        training.head_epochs = training.head_epochs or by_number("head")
    return filled


def epochs_for(images: int, *, global_batch_size: int, steps: int) -> int:
    """Returns the epochs that make at least `steps`, and at least ten, where the user leaves them open.

    Args:
      images: To train on.
      global_batch_size: Images a step.
      steps: The fewest.
    """
    return max(10, -(-steps // -(-images // global_batch_size)))


def parse_schedule(schedule: str, epochs: int) -> list[tuple[str, int]]:
    """Returns what each stage of an `unfreeze_schedule` unfreezes, and for how many of the epochs.

    Raises:
      ConfigError: It is not of the form SPEC@EPOCH,SPEC@EPOCH with epochs that rise from 0.
    """
    if epochs == 0:
        raise ConfigError(
            f"unfreeze_schedule: expected the number of epochs beside it. Received: {schedule}, and epochs left to the number of "
            "images. Use --epochs=10, and --config.model.unfreeze_schedule=blocks:1@0,blocks:2@5."
        )
    try:
        pairs = [stage.rsplit("@", 1) for stage in schedule.split(",")]
        starts = [int(start) for _, start in pairs]
    except ValueError:
        starts = []
    if not starts or starts[0] != 0 or any(b <= a for a, b in zip(starts, [*starts[1:], epochs], strict=True)):
        raise ConfigError(
            f"unfreeze_schedule: expected SPEC@EPOCH,SPEC@EPOCH with epochs that rise from 0 to below {epochs}, such as "
            f"blocks:1@0{f',blocks:2@{epochs // 2}' if epochs > 1 else ''}. Received: {schedule}."
        )
    for stage, _ in pairs:
        parse_unfreeze(stage)
    lengths = [end - start for start, end in zip(starts, [*starts[1:], epochs], strict=True)]
    return [(pair[0], length) for pair, length in zip(pairs, lengths, strict=True)]


def parse_splits(text: str) -> dict[str, str] | None:
    """Returns the split that each name (in lower case) is said to mean by `data.splits`; empty for `none`, None for nothing.

    Raises:
      ConfigError: It is not of the form NAME=SPLIT,NAME=SPLIT.
    """
    if text in ("", "none"):
        return None if not text else {}
    short = {"val": "validation", "valid": "validation"}
    meanings = {
        name.lower(): short.get(split, split) for name, split in _pairs("splits", text, "fold_1=train,fold_2=test")
    }
    for split in meanings.values():
        _require_one_of("splits", split, SPLIT_MEANINGS)
    return meanings


def parse_columns(text: str) -> dict[str, str]:
    """Returns the name of each column that `data.columns` names, by what it holds.

    Raises:
      ConfigError: It is not of the form WHAT=COLUMN,WHAT=COLUMN.
    """
    names = dict(_pairs("columns", text, "image=id,label=breed")) if text else {}
    for what in names:
        _require_one_of("columns", what, COLUMNS)
    return names


def _pairs(name: str, text: str, example: str) -> list[tuple[str, str]]:
    pairs = [(left.strip(), right.strip()) for left, _, right in (pair.rpartition("=") for pair in text.split(","))]
    if not all(left and right for left, right in pairs):
        raise ConfigError(f"{name}: expected NAME=VALUE,NAME=VALUE, such as {example}. Received: {text}.")
    return pairs


def export_formats(export: str) -> tuple[str, ...]:
    """Returns the formats that a comma-separated list names; none for `none`.

    Raises:
      ConfigError: One of them is unknown.
    """
    formats = () if export == "none" else tuple(dict.fromkeys(export.split(",")))
    for name in formats:
        _require_one_of("export", name, EXPORTS)
    return formats


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Returns the dotted names of the fields in which two `to_json` dictionaries differ, each with both values."""
    flat_ours, flat_theirs = flatten(ours), flatten(theirs)
    names = sorted(flat_ours.keys() | flat_theirs.keys())
    missing = "(absent)"
    return [
        f"{name}: {flat_theirs.get(name, missing)} there, {flat_ours.get(name, missing)} now"
        for name in names
        if flat_ours.get(name, missing) != flat_theirs.get(name, missing)
    ]


def flatten(values: dict[str, Any]) -> dict[str, Any]:
    """Returns what `to_json` gave under dotted names, such as `training.epochs`."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": each for key, each in flatten(value).items()}
        else:
            flat[name] = value
    return flat


def train_command(config: TransferConfig, workdir: str, *, every_field: bool = True) -> str:
    """Returns the command that trains with exactly this config.

    Args:
      config: Resolved, where it is to train the same later.
      workdir: The run directory.
      every_field: Whether all fields are named, so that other defaults change nothing; else those that differ from today's.
    """
    defaults = {} if every_field else flatten(to_json(TransferConfig()))
    chosen = {name: value for name, value in flatten(to_json(config)).items() if value != defaults.get(name)}
    flags = [f"--config.{name}={value}" for name, value in chosen.items()]
    return shlex.join(["python", "-m", "tl_keras.train", f"--workdir={workdir}", *flags])


def to_json(config: TransferConfig) -> dict[str, Any]:
    """Returns the config as nested dictionaries of JSON's own types."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=plain))


def from_json(values: dict[str, Any]) -> TransferConfig:
    """Returns the config that `to_json` wrote; what an older version did not write has its default.

    Raises:
      ConfigError: A field is unknown, for example because another version of tl_keras wrote it.
    """
    parts = {"data": DataConfig, "model": ModelConfig, "training": TrainingConfig, "cache": CacheConfig}
    try:
        return TransferConfig(
            **{name: parts[name](**value) if name in parts else value for name, value in values.items()}
        )
    except (TypeError, ConfigError) as error:
        raise ConfigError(f"config: expected the fields of this version of tl_keras. {error}") from error


def _require(name: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise ConfigError(f"{name}: expected {expected}. Received: {value}.")


def _require_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(
            f"{name}: expected one of {', '.join(known)}. Received: {value}. {nearest(value, known)}".strip()
        )
