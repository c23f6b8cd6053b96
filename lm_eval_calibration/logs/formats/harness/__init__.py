"""The harness's own logs: `samples_<task>_<date>.jsonl`, and `results_<date>.json` beside them."""
