"""Laws that a metric, a calibrator, a format of logs or a belief source must obey, for the tests of packages that add one.

    from lm_eval_calibration import testing

    def test_mine() -> None:
        testing.check_metric(my_metric)
        testing.check_calibrator(my_calibrator)
        testing.check_format(my_logs, Path("tests/logs"))
        testing.check_belief_source(lambda: MyModel(base="hf", pretrained=TINY), task.instances)

What fails raises an `AssertionError` that names the law. Our own members pass the same.
"""

from typing import TYPE_CHECKING, Any

from lm_eval_calibration.testing.calibrators import check_calibrator
from lm_eval_calibration.testing.formats import check_format
from lm_eval_calibration.testing.metrics import check_metric

if TYPE_CHECKING:
    from lm_eval_calibration.testing.sources import check_belief_source

__all__ = ["check_belief_source", "check_calibrator", "check_format", "check_metric"]


def __getattr__(name: str) -> Any:
    """`check_belief_source`, which alone needs the harness."""
    if name == "check_belief_source":
        from lm_eval_calibration.testing.sources import check_belief_source

        return check_belief_source
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
