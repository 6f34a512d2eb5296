"""Training: phases in the order they happen, and a run directory that a crash cannot spoil."""
