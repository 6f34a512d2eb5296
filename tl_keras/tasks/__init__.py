"""Says what is learnt: a `Task` owns everything that depends on what a label is. Nothing outside asks which task it has."""
