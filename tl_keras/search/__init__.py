"""Finds images alike by their vectors."""
