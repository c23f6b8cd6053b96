"""Names of the harness's: kinds of requests, aggregations, and our key of its results."""

GENERATE, LOGLIKELIHOOD, ROLLING = "generate_until", "loglikelihood", "loglikelihood_rolling"
KINDS = (GENERATE, LOGLIKELIHOOD, ROLLING)
MEANS = ("mean", "nanmean", "median")
"""Aggregations of metrics that score each document by a number of its own."""
RECORD = "lm_eval_calibration"
"""Key of a run's results under which our own record stands."""

ARITHMETIC, FINGERPRINT = "reproducible", "fingerprint"
"""What a run's configuration says of log-likelihoods that are functions of their requests, and its digest there."""
