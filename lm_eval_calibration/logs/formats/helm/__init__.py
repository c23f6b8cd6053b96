"""The run folders that HELM (crfm-helm) writes."""

from lm_eval_calibration.logs.formats.helm.logs import HelmLogs

HELM = HelmLogs()

__all__ = ["HELM"]
