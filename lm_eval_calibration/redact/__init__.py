"""Secrets are told to nobody: what takes them out of whatever leaves us.

`redact` for values and texts, `secrets_in` for what to look for elsewhere, `Redactor` where they are
counted, `hiding` around what may fail.
"""

from lm_eval_calibration.redact.raised import clean, hiding
from lm_eval_calibration.redact.redactor import Redactor, SecretPlace
from lm_eval_calibration.redact.texts import REDACTED
from lm_eval_calibration.redact.values import redact, secrets_in

__all__ = ["REDACTED", "Redactor", "SecretPlace", "clean", "hiding", "redact", "secrets_in"]
