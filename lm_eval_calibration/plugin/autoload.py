# Start-up hook, run by Python from the installed .pth file: keep it tiny, and never let it raise.
# It waits for `lm_eval` to be imported; nothing else happens in processes that never do.
import os
import sys

if os.environ.get("LM_EVAL_CALIBRATION_AUTOLOAD", "1") != "0":

    class LmEvalCalibrationAutoload:
        @classmethod
        def find_spec(cls, name: str, path: object = None, target: object = None) -> None:
            if name == "lm_eval":
                import sys

                sys.meta_path[:] = [f for f in sys.meta_path if f is not cls]
                try:
                    from lm_eval_calibration.plugin import install

                    install()
                except Exception as error:  # noqa: BLE001
                    import logging

                    logging.getLogger("lm_eval_calibration").warning(
                        "lm-eval-calibration could not attach itself to lm-eval: %r", error
                    )

    if not any(
        f.__class__ is type and f.__name__ == "LmEvalCalibrationAutoload" for f in sys.meta_path
    ):
        sys.meta_path.insert(0, LmEvalCalibrationAutoload)
