"""Defines the options of the cache of frozen layers' outputs."""

# The types of the fields are looked at when a program runs, so they are no texts: no `from __future__ import annotations`.
import dataclasses

from tl_keras.config.choices import CacheDtype, InferenceEngine
from tl_keras.config.options import above, option
from tl_keras.locked import Locked


@dataclasses.dataclass
class CacheConfig(Locked):
    """Cache of the outputs of frozen layers. Apart from rounding, it decides how fast a run is, not its result."""

    enabled: bool = option(
        True, "Whether what frozen layers compute is kept; --nocache computes it at every step.", flag="cache"
    )
    folder: str = option(
        "",
        "The folder of the cache.",
        flag="cache_dir",
        zero="tl_keras in XDG_CACHE_HOME, or in ~/.cache",
    )
    limit_gib: float = option(
        20.0, "GiB on disk that the cache may take, over all runs that share it.", flag="cache_gib", within=above(0)
    )
    inference_engine: InferenceEngine = option(
        "auto",
        "What computes the frozen layers; auto takes the fastest in float32 that agrees with Keras.",
        flag="inference_engine",
    )
    dtype: CacheDtype = option("float32", "How cached values are stored; float16 takes half the room.")
    decoded_gib: float = option(
        1.0,
        "GiB of memory for decoded images, where each epoch reads them; larger data are decoded each time.",
        zero="decoded each time",
        within=above(0),
    )
