"""The harness's kinds of requests, by the names of a model's methods."""

GENERATE, LOGLIKELIHOOD, ROLLING = "generate_until", "loglikelihood", "loglikelihood_rolling"
KINDS = (GENERATE, LOGLIKELIHOOD, ROLLING)
RECORD = "lm_eval_calibration"
"""Key of a run's results under which our own record stands."""
