"""A folder of photos of two classes for the pieces."""

import numpy as np
import pytest
from PIL import Image

COLOURS = {"blue": (30, 60, 210), "red": (200, 40, 30), "green": (40, 180, 60)}


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A function that returns a folder of class folders with so many photos of each of some colours."""

    def make(*names, each=16):
        folder = tmp_path_factory.mktemp("photos") / "photos"
        for name in names:
            random = np.random.default_rng([*name.encode()])
            (folder / name).mkdir(parents=True)
            for number in range(each):
                pixels = np.clip(random.normal(COLOURS[name], 40, (24, 30, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / name / f"{number}.png")
        return folder

    return make
