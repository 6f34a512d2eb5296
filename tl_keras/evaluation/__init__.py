"""Measures predictions: accuracy, per-class figures, calibration, and runs side by side."""
