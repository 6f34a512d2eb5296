"""Trains a run: its phases in order, into a run directory that a crash cannot spoil."""
