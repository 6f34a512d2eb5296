"""Side-by-side measurements: each is a ratio of two figures taken in turns on one machine."""
