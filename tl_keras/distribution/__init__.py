"""Hardware: what a run computes on, decided once."""
