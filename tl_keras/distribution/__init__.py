"""Decides once what hardware a run computes on."""
