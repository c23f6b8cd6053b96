"""Calibration twins of harness tasks, and the embedded demo task."""
