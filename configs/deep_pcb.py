"""Small things in large images, several labels: six kinds of defect on printed boards, 640 pixels wide (DeepPCB).

    python -m tl_keras.train --config=configs/deep_pcb.py --workdir=boards --config.data.source=csv:labels.csv

The table has the columns path, labels (separated by ';', such as `open;short`) and group, the batch that a board comes from.
A defect is a small part of a board, and is lost in the average over positions of 32 pixels each. So the images are large, and the
teacher ends at its map of 8 pixels a position, of which the largest values count. Boards have no upright: they are mirrored and
turned. What the teacher's layers have learnt from photos is far from this task, hence their higher rate.

Accuracy: fine_tune 0.939, 0.876 and 0.885 mean average precision in three draws of 210 boards to train on, by whole batches
(docs/benchmarks.md), of which the first and the third were turned and not mirrored; five minutes each on two cores.
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
