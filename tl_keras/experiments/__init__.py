"""Many runs: comparisons, sweeps, soups, and a trained model measured on other images."""
