"""Laws that a calibrator or a format of logs must obey, for the tests of packages that add one.

    from lm_eval_calibration.testing import check_calibrator, check_format

    def test_mine() -> None:
        check_calibrator(mine)
        check_format(my_logs, Path("tests/logs"))

What fails raises an `AssertionError` that names the law. Our own members pass the same.
"""

from lm_eval_calibration.testing.calibrators import check_calibrator
from lm_eval_calibration.testing.formats import check_format

__all__ = ["check_calibrator", "check_format"]
