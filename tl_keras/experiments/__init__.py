"""Runs many trainings: comparisons, sweeps, soups; also measures a trained model on other images."""
