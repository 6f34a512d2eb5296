"""Describes each pre-trained model: the table of specs, the preprocessing and the weights."""
