"""Tiny random models of several architectures."""

from tiny_models import tiny  # noqa: F401  (a fixture)
