"""A calibrator and a format of logs that another package adds."""
