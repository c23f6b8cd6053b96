"""What is computed of runs that were read: figures, comparisons, thresholds, pools."""

from lm_eval_calibration.analysis.comparison import Comparison, compare_runs
from lm_eval_calibration.analysis.document_pairing import Match, match
from lm_eval_calibration.analysis.scores import Scored, score, score_all

__all__ = ["Comparison", "Match", "Scored", "compare_runs", "match", "score", "score_all"]
