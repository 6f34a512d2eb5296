"""Measuring: accuracy, per-class figures, and the methods side by side."""
