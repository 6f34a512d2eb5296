"""Which map of a frozen teacher serves best, pooled how, and can the training images tell: `python -m benchmarks.maps FOLDER`.

As `benchmarks.views`, for the last map of MobileNetV2, 32 pixels per position, and the finer ones of 16 and 8, whose positions are
averaged or give the largest value of each feature; the training images choose among averages. Sets of one class per image;
`benchmarks.other_tasks cells` has numbers.
"""

from __future__ import annotations

from benchmarks.views import Ways, compare

MAPS: Ways = {
    "32 px": {},
    "16 px": {"output_stride": 16},
    "8 px": {"output_stride": 8},
    "32 px, max": {"pooling": "max"},
    "16 px, max": {"output_stride": 16, "pooling": "max"},
    "8 px, max": {"output_stride": 8, "pooling": "max"},
}

if __name__ == "__main__":
    compare(__doc__, MAPS, against="32 px", among=("32 px", "16 px", "8 px"))
