"""Reads the images: finds, checks, splits, augments and batches them."""
