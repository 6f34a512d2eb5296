"""Finds the images of an index that are most like a photo.

    python -m tl_keras.similar --query=photo.jpg --index=features.npz
    python -m tl_keras.similar --query=photo.jpg --query=more/ --index=features.npz --count=20 --format=jsonl

python -m tl_keras.embed makes the index, which knows the run or the backbone that made it: the same one embeds the query. The
nearest by cosine are found exactly among up to a million images, and by FAISS (tl_keras[search]) among more.
"""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

from absl import flags

from tl_keras import command_line, path_flags
from tl_keras.console import printable
from tl_keras.errors import ConfigError

_QUERY = path_flags.define_several("query", [], "Image to find others for, or a directory of them; may be given again.")
_INDEX = path_flags.define("index", "", "File that python -m tl_keras.embed has written.")
_COUNT = flags.DEFINE_integer("count", 10, "Number of images to show for each query.", lower_bound=1)
_WORKDIR = path_flags.define("workdir", "", "The run directory that made the index, if it has moved.")
_FORMAT = flags.DEFINE_enum("format", "table", ["table", "jsonl"], "A table, or one JSON object per line.")


def main(arguments: list[str]) -> None:
    """Prints the nearest images of each query, with their cosines, on stdout."""
    if arguments or not _QUERY.value or not _INDEX.value:
        raise ConfigError("flags: expected --query=IMAGE and --index=FILE. Use --help to see the flags.")
    from tl_keras.search.index import read_index
    from tl_keras.search.nearest import Nearest

    index = read_index(pathlib.Path(_INDEX.value))
    command_line.require_tensorflow()
    from tl_keras.advice.image_index import embedder_for
    from tl_keras.serving.image_inputs import image_inputs
    from tl_keras.serving.predictor import embed_images

    queries = [image.name for image in image_inputs(_QUERY.value)]
    features = embed_images(embedder_for(index, workdir=_WORKDIR.value), queries)
    nearest = Nearest(index.features, beside=index.path)
    rows, cosines = nearest(features, _COUNT.value)
    if nearest.recall < 1:
        print(f"index: {nearest.recall:.0%} of the nearest are found, measured on 100 of its images", file=sys.stderr)
    found = [
        {"query": query, "similar": index.described(near, cosine)}
        for query, near, cosine in zip(queries, rows, cosines, strict=True)
    ]
    print("\n".join(json.dumps(each) for each in found) if _FORMAT.value == "jsonl" else as_text(found))


def as_text(found: list[dict[str, Any]]) -> str:
    """Returns a line for each image found, cosine first; of several queries each has a heading."""
    parts = []
    for each in found:
        lines = [f"{image['cosine']:.4f}  {printable(image['name'])}" for image in each["similar"]]
        parts.append("\n".join([*([f"{printable(each['query'])}:"] if len(found) > 1 else []), *lines]))
    return "\n".join(parts)


if __name__ == "__main__":
    command_line.run(main, usage=__doc__)
