"""Far from ImageNet, few labels: scikit-learn's 1,797 scanned digits with ten labelled images a class.

    python -m tl_keras.train --config=configs/digits.py --workdir=digits --compare=methods --seeds=5

Nothing is downloaded: the scans come with scikit-learn, the teacher with the package (`configs/embedded_mnist.py`).
docs/benchmarks.md has the measured accuracy and time of each method.
"""

from tl_keras.config import TransferConfig, quick_start


def get_config() -> TransferConfig:
    """Returns the recipe, which is the quick start's."""
    return quick_start()
