"""Small things in large images, several labels: six kinds of defect on printed boards, 640 pixels wide (DeepPCB).

    python -m tl_keras.train --config=configs/deep_pcb.py --workdir=boards --config.data.source=csv:labels.csv

The table has the columns path, labels (separated by ';', such as `open;short`) and group, the batch that a board comes from.
A defect is some twenty pixels wide: it is lost in the average of a map of 32 pixels a position, so that the teacher ends at its
map of 8 pixels, whose largest values count, and images are large. Boards have no upright. The maps of a teacher are far from
what is asked here, hence a higher rate for its layers.

Accuracy: fine_tune 0.939, 0.876 and 0.885 mean average precision in three draws of 210 boards to train on, by whole batches
(docs/benchmarks.md); five minutes each on two cores.
"""

from tl_keras.config import DataConfig, ModelConfig, TrainingConfig, TransferConfig


def get_config() -> TransferConfig:
    """Returns the recipe."""
    return TransferConfig(
        task="multi_label",
        data=DataConfig(source="csv:labels.csv", horizontal_flip="on", quarter_turns="on"),
        model=ModelConfig(method="fine_tune", image_size=448, output_stride=8, pooling="max"),
        training=TrainingConfig(global_batch_size=8, fine_tune_learning_rate_factor=0.1),
    )
