"""`python -m lm_eval_calibration`: the same as `lm-calib`."""

from lm_eval_calibration.cli import main

if __name__ == "__main__":
    main()
