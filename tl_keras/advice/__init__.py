"""Advises with evidence: how well teachers will transfer to a user's images, and what is wrong with the images."""
