"""What is known of each pre-trained model: the table of specs, its preprocessing and its weights."""
