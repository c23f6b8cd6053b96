"""FRACTAL: scores of sentences, learned from labels of whole responses (Makhija et al., 2025)."""

from lm_eval_calibration.fractal.bags import Bags, Pairs
from lm_eval_calibration.fractal.scorer import SentenceScorer
from lm_eval_calibration.fractal.settings import FractalSettings
from lm_eval_calibration.fractal.training import train

__all__ = ["Bags", "FractalSettings", "Pairs", "SentenceScorer", "train"]
