"""Tests of tl_keras.advice.beam_index: features that a pipeline leaves in the cache, against those of one process."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("apache_beam", reason="pip install 'tl_keras[beam]'")
from tl_keras.advice import beam_index
from tl_keras.advice.image_index import chosen_embedder, index_images, write_images
from tl_keras.config import TransferConfig
from tl_keras.data.unlabelled import open_unlabelled


@pytest.mark.slow
def test_the_index_is_that_of_one_process_to_the_byte(tmp_path, small_teacher, monkeypatch):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(70):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 20, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(photos / f"{number:02}.png")
    (photos / "30.png").write_bytes(b"no image")
    monkeypatch.setattr(beam_index, "_IMAGES", 32)
    monkeypatch.setattr("tl_keras.data.stamps._SETTLED_NS", 0)  # the photos have just been written
    written = []
    for options in (None, ["direct_running_mode=in_memory"]):
        config = TransferConfig()
        config.data.source, config.model.backbone = str(photos), str(small_teacher)
        config.cache = dataclasses.replace(
            config.cache, folder=str(tmp_path / f"cache{len(written)}"), inference_engine="tf_graph"
        )
        if options is not None:
            beam_index.embed_with_beam(config, options=options)
            assert not list((tmp_path / "cache1" / "beam").glob("*/*"))  # all was taken over
            # Nothing is left to read or to compute.
            monkeypatch.setattr("tl_keras.data.inspection._look_at", None)
            monkeypatch.setattr("tl_keras.training.features.fastest_forward", None)
        index = tmp_path / f"features{len(written)}.npz"
        images = index_images(open_unlabelled(str(photos)), chosen_embedder("", config.model), config)
        write_images(images, index, workdir="", config=config.model)
        written.append(index.read_bytes())
    assert written[0] == written[1]
