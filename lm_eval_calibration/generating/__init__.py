"""Texts from a transformers causal model: many rows at once, each token of a prompt computed once."""
