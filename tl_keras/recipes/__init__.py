"""The two configs that the command falls back on: `default` with `--data`, `quick_start` without."""
