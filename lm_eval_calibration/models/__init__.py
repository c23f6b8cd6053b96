"""Models of the harness that state beliefs, or better ones: what `--model` may name, a file each."""

MODELS = {
    "hf-fast": "lm_eval_calibration.models.hf_fast:FastHFLM",
    "thermometer": "lm_eval_calibration.models.thermometer:ThermometerLM",
    "swag": "lm_eval_calibration.models.swag:SwagLM",
    "adapters": "lm_eval_calibration.models.adapters:AdaptersLM",
    "self_consistency": "lm_eval_calibration.models.self_consistency:SelfConsistencyLM",
    "p_true": "lm_eval_calibration.models.p_true:PTrueLM",
    "likelihood": "lm_eval_calibration.models.likelihood:LikelihoodLM",
    "semantic_entropy": "lm_eval_calibration.models.semantic_entropy:SemanticEntropyLM",
    "beliefs": "lm_eval_calibration.models.beliefs:BeliefsLM",
    "self_correct": "lm_eval_calibration.models.self_correct:SelfCorrectLM",
    "verbalized": "lm_eval_calibration.models.verbalized:VerbalizedLM",
    "option_tokens": "lm_eval_calibration.models.option_tokens:OptionTokensLM",
    "systemone": "lm_eval_calibration.models.systemone:SystemOneLM",
    "fractal": "lm_eval_calibration.models.fractal:FractalLM",
    "fractal-scorer": "lm_eval_calibration.models.fractal_scorer:FractalScorerLM",
    "calibrated": "lm_eval_calibration.models.calibrated:CalibratedLM",
}
"""Names, and where their classes are."""
