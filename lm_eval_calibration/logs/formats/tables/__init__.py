"""Tables that anybody made: a confidence or a score and a verdict, or a number for each option."""

from lm_eval_calibration.logs.formats.tables.columns import Columns
from lm_eval_calibration.logs.formats.tables.reading import read_table

__all__ = ["Columns", "read_table"]
