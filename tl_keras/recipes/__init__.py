"""Holds the two configs that the command uses by default: `default` with `--data`, `quick_start` without."""
