"""Figures and reports of predictions."""
