"""Finished runs for all tests of reporting: small, on scikit-learn's digits, three of them with awkward names."""

import json

import numpy as np
import pytest

from tl_keras.config import quick_start
from tl_keras.data.arrays import ArraySource
from tl_keras.data.sources import open_source
from tl_keras.reporting.run_report import REPORT, write_report
from tl_keras.training.loop import train_and_evaluate
from tl_keras.training.model_cache import ModelCache
from tl_keras.weaknesses.audit_record import Audit, Condition, Mimicry

NAMES = ("<script>three</script>", "$5 & $6", "七")


def a_config():
    """Returns the quick start, shortened and without exports."""
    config = quick_start()
    config.training.epochs = config.training.head_epochs = 2
    config.data.train_examples_per_class = 5
    config.export = "none"
    return config


@pytest.fixture(scope="session")
def source():
    """Three digits, thirty scans each, as a source in memory; a page has to escape the names of two."""
    digits = open_source("digits")
    chosen = np.sort(np.concatenate([np.flatnonzero(digits.labels == label)[:30] for label in (3, 5, 7)]))
    pixels = np.stack([element["image"].numpy() for element in digits.images(chosen)])
    return ArraySource(pixels, np.array(NAMES)[np.searchsorted([3, 5, 7], digits.labels[chosen])])


@pytest.fixture(scope="session")
def audit():
    """What `audit.json` holds: one corruption, one attack, mimicry at two depths."""
    whole = {"accuracy": 0.7, "interval": (0.6, 0.8)}
    conditions = [
        Condition("corruption", "Gaussian noise", 3.0, "deviation 0.18", 0.5, (0.4, 0.6), 0.6, 0.3),
        Condition("attack", "FGSM", 1.0, "1/255", 0.2, (0.1, 0.3), 0.2, 0.1),
    ]
    mimicry = [
        Mimicry(4, "block 3", True, 4.0, 0.5, (0.4, 0.6), 0.3, 0.2),
        Mimicry(19, "the pooling", False, 4.0, 0.6, (0.5, 0.7), 0.2, 0.4),
    ]
    found = Audit("test", 100, 0, **whole, conditions=conditions, mimicry=mimicry, chance=0.1, remark="", seconds=9.0)
    return json.loads(json.dumps(found.to_json()))


@pytest.fixture(scope="session")
def in_memory(made_once, source, small_teacher):
    """A run on images in memory, and its page."""

    def make(workdir):
        config = a_config()
        config.model.backbone, config.model.weights = str(small_teacher), "imagenet"  # its last map has 5 x 5 places
        train_and_evaluate(config, workdir, source=source)
        write_report(workdir, source=source)

    workdir = made_once("in_memory", make)
    return workdir, (workdir / REPORT).read_text()


@pytest.fixture(scope="session")
def compared(made_once):
    """A directory with two runs, as a comparison leaves them; their test images were not looked at. And a page of one."""

    def make(workdir):
        models = ModelCache()
        for name, epochs in (("short", 1), ("long", 2)):
            config = a_config()
            config.model.method, config.training.epochs = "feature_extraction", epochs
            train_and_evaluate(config, workdir / name / "seed_0", measure_test=False, models=models)
        write_report(workdir / "long" / "seed_0")

    workdir = made_once("compared", make)
    return workdir, (workdir / "long" / "seed_0" / REPORT).read_text()
