"""Advice with teacher_scores: how well teachers will transfer to a user's images, and what is wrong with the images."""
