"""Formats of logs, a file or a folder each."""
