"""The commands of `lm-calib`, with their arguments; what they do is imported when they run."""
