"""Probabilities that a model states in words: how it is asked, and how its reply is read."""
