"""Measures weaknesses that accuracy does not show: worse photos, and attackers."""
