"""Writes HTML pages that need no network, with their figures."""
