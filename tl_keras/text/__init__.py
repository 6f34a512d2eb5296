"""Makes sentences an input like images: tokens, encoders as teachers, and the same tokens in a served graph.

Nothing of it is imported by a run on images.
"""
