"""Tells what a checkpoint belongs to, and which options of a run may change without making it another run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from tl_keras.config import CacheConfig, differences, from_json, to_json


def run_identity(config: dict[str, Any], data_hash: str, splits: dict[str, Any]) -> dict[str, Any]:
    """Returns the identity of a checkpoint: the config that affects it, and the hashes of the images and their splits.

    Args:
      config: Resolved config from `tl_keras.config.to_json`.
      data_hash: Hash of the images.
      splits: Contents of `splits.json`.
    """
    ids = json.dumps([splits[name] for name in ("train", "validation", "test")])
    return {"config": affects_result(config), "data": data_hash, "splits": hashlib.sha256(ids.encode()).hexdigest()}


def identity_differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Returns the differences between two `run_identity` dictionaries; fields that an older version lacked have defaults."""
    known = {**theirs, "config": affects_result(to_json(from_json(theirs["config"])))}
    config = differences(ours["config"], known["config"])
    names = {
        "data": "the images",
        "splits": "which image is in which split",
        "teacher_run": "what the teacher run teaches",
    }
    return [*config, *(text for name, text in names.items() if ours.get(name) != known.get(name))]


def affects_result(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the part of a config that affects training; hardware, cache and exports may change."""
    asked = config["cache"]
    engine = asked["inference_engine"]
    rounding = engine if engine.endswith("_bf16") else "auto"
    cache = {"dtype": asked["dtype"], "inference_engine": rounding} if asked["enabled"] else {}
    cache = {**dataclasses.asdict(CacheConfig()), **cache, "decoded_gib": asked["decoded_gib"]}
    free = {"strategy": "auto", "replicas": 0, "price_per_hour": 0.0, "export": "none"}
    return {**config, "cache": cache, **free}
