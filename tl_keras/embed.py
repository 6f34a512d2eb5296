"""Writes the features of images to a file, for search and clustering; images need no labels.

    python -m tl_keras.embed --data=photos/ --workdir=run1 --out=features.npz
    python -m tl_keras.embed --data=photos/ --backbone=MobileNetV2 --out=features.parquet
    python -m tl_keras.embed --data=photos/ --page=look.html
    python -m tl_keras.embed --data=photos/ --out=features.npz --beam      (on all cores, or a cluster)

--data is any folder of images, at any depth, or another source. Features are those of a run, or of a pre-trained backbone; without
either, of MobileNetV2. They are computed once and kept in the cache, which training reads too. --page writes a first look at images
without labels: copies, clusters with the names that the network has for them, and images unlike all others.
"""

from __future__ import annotations

import pathlib
import sys

from absl import flags

from tl_keras import beam_flags, command_line, path_flags, source_flags
from tl_keras.console import number_of
from tl_keras.errors import ConfigError
from tl_keras.files import require_writable

_OF_A_BACKBONE = ("backbone", "weights", "alpha", "image_size", "resize", "significant_bits")
source_flags.define("cache_dir", "max_pixels", *_OF_A_BACKBONE, "seed", "inference_engine")
beam_flags.define()
_WORKDIR = path_flags.define("workdir", "", "The run directory whose model embeds; by default a backbone does.")
_OUT = path_flags.define("out", "", "File to write: .npz or .parquet.")
_PAGE = path_flags.define("page", "", "Page to write, .html: copies, clusters and outliers among the images.")
_CLUSTERS = flags.DEFINE_integer("clusters", 0, "Number of clusters on the page; 0 chooses it.", lower_bound=0)


def main(arguments: list[str]) -> None:
    """Prints what was written on stdout, and what was left out on stderr."""
    if arguments or not flags.FLAGS.data or not (_OUT.value or _PAGE.value):
        raise ConfigError("flags: expected --data=SOURCE and --out=FILE or --page=FILE. Use --help to see the flags.")
    given = [name for name in _OF_A_BACKBONE if flags.FLAGS[name].present]
    if _WORKDIR.value and given:
        raise ConfigError(f"flags: expected --workdir or --{given[0]}. Received: both. A run has its own backbone.")
    if _PAGE.value and not _PAGE.value.endswith(".html"):
        raise ConfigError(f"page: expected a name that ends in .html. Received: {_PAGE.value}.")
    config = source_flags.config_from_flags()
    out, page = pathlib.Path(_OUT.value), pathlib.Path(_PAGE.value)
    if _OUT.value:
        from tl_keras.search.index import require_index_name

        require_index_name(out)
    for flag, path in ((_OUT, out), (_PAGE, page)):
        if flag.value:
            require_writable(path.parent, option=flag.name)
    beam = beam_flags.beam_options()
    command_line.require_tensorflow(reading=flags.FLAGS.data)
    from tl_keras.advice.image_index import chosen_embedder, index_images, remarks, usual_backbone, write_images
    from tl_keras.data.options import SourceOptions
    from tl_keras.data.unlabelled import open_unlabelled

    if _PAGE.value:
        from tl_keras.advice.first_look import look_at, table_beside, write_look

        table_beside(page)
    if not flags.FLAGS["backbone"].present:
        config.model = usual_backbone(config.model)
    source = open_unlabelled(config.data.source, SourceOptions.of(config))
    if beam is not None:
        from tl_keras.advice.beam_index import embed_with_beam

        embed_with_beam(config, workdir=_WORKDIR.value, options=beam)
    images = index_images(source, chosen_embedder(_WORKDIR.value, config.model), config)
    for sentence in remarks(images):
        print(f"images: {sentence}", file=sys.stderr)
    if _OUT.value:
        write_images(images, out, workdir=_WORKDIR.value, config=config.model)
        print(f"wrote: {out}, features of {number_of(len(images.indices), 'image')} by {images.embedder.name}")
    if _PAGE.value:
        table = write_look(look_at(images, config, clusters=_CLUSTERS.value), page)
        print(f"wrote: {page}, {table}")


if __name__ == "__main__":
    command_line.run(main, usage=__doc__)
