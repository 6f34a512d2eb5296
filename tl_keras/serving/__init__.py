"""The trained model at work: exported, proven to agree with training, and asked."""
