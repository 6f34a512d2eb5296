"""Far from ImageNet, few labels: scikit-learn's 1,797 scanned digits with ten labelled images per class.

    python -m tl_keras.train --config=configs/digits.py --workdir=digits --compare=methods --seeds=5

Nothing is downloaded: the scans come with scikit-learn, the teacher with the package (`configs/embedded_mnist.py`).

Accuracy: fine_tune 0.913 ± 0.006, feature_extraction 0.878 ± 0.009, replicate 0.717 ± 0.034 (five seeds), in 25, 5 and 152
seconds of training on two cores (docs/benchmarks.md).
"""

from tl_keras.config import TransferConfig, quick_start


def get_config() -> TransferConfig:
    """Returns the quick start's recipe; each method trains as long as it needs, random weights much longer than a head."""
    config = quick_start()
    config.training.epochs = 0
    return config
