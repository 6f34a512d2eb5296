"""Judges features of images by simple models on them, out of fold, and chooses between alternatives by what they tell."""
