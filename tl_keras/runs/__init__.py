"""Reads and writes what a run leaves on disk."""
