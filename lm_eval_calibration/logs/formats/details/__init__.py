"""Details of single documents as lighteval writes them, and its ancestor behind the Open LLM Leaderboard."""

from lm_eval_calibration.logs.formats.details.formats import LEADERBOARD, LIGHTEVAL

__all__ = ["LEADERBOARD", "LIGHTEVAL"]
