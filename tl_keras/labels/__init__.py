"""Makes more of few labels: which images to label next, what that will bring, and images that need no label."""
