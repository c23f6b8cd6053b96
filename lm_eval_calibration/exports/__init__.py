"""Figures in the shapes that other places publish them in."""
