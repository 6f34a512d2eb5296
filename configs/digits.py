"""Far from ImageNet, few labels: scikit-learn's 1,797 scanned digits with ten labelled images per class.

    python -m tl_keras.train --config=configs/digits.py --workdir=digits --compare=methods --seeds=5

Nothing is downloaded: the scans come with scikit-learn, the teacher with the package (`configs/embedded_mnist.py`).

Accuracy: fine_tune 0.882 ± 0.007, feature_extraction 0.875 ± 0.010, replicate 0.124 ± 0.019 (five seeds, ten epochs each), in 16,
6 and 18 seconds of training on two cores (docs/benchmarks.md). The length is now left to each method, and fine_tune trains all
layers instead of four blocks; that was not measured again.
"""

from tl_keras.config import TransferConfig, quick_start


def get_config() -> TransferConfig:
    """Returns the quick start's recipe; each method trains as long as it needs, random weights much longer than a head."""
    config = quick_start()
    config.training.epochs = 0
    return config
