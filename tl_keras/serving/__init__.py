"""Puts the trained model to work: exports it, proves that the export agrees with training, and serves it."""
