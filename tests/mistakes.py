"""Mistakes as people type them, and all that they are told."""

from __future__ import annotations

MISTAKES = {
    "lm_eval --model hf --model_args pretrained=model --tasks calib_arc_chalenge": (
        "lm_eval: `--tasks` must be names of harness tasks, got `calib_arc_chalenge`. Did you mean `calib_arc_challenge` or `calib_arc_eu_challenge` or `calib_arc_challenge_mt`?"
    ),
    "lm_eval --model hf --model_args pretrained=model --tasks arc_eazy,calib_hellaswga": (
        "lm_eval: `--tasks` must be names of harness tasks, got `arc_eazy`, `calib_hellaswga`. Did you mean `arc_easy` or `arc_eu_easy` or `arc_ca_easy`? Did you mean `calib_hellaswag` or `calib_hellaswag_vi` or `calib_hellaswag_uk`?"
    ),
    "lm_eval --model hf --model_args pretrained=model --tasks calib_wikitext": (
        "lm_eval: `calib_wikitext` cannot be had: `wikitext` is a loglikelihood_rolling task, which has no twin. Run `wikitext` instead."
    ),
    "lm_eval --model hf --model_args pretrained=model --tasks nothere.yaml": (
        "lm_eval: `--tasks` must be names of harness tasks, got `nothere.yaml`. No file is called `nothere.yaml`."
    ),
    "lm_eval --model hf --model_args pretrained=model --include_path . --tasks misspelt": (
        "lm_eval: Unknown metric `ecee`. Did you mean `ece` or `smece` or `tl_ece`? Known: acc_at_coverage, ace, aurc, auroc, brier, brier_reliability, brier_resolution, brier_uncertainty, classwise_ece, coverage_at_acc, debiased_ece, eaurc, ece, mce, nll, prr, rmsce, smece, tl_ece."
    ),
    "lm_eval --model hf-fats --model_args pretrained=model --include_path tasks --tasks calib_toy_norm": (
        "lm_eval: Unknown model `hf-fats`. Did you mean `hf-fast` or `hf-auto`?"
    ),
    "lm_eval --model calibrated --model_args base=hf-fats,pretrained=model,calibrator=ts --include_path tasks --tasks calib_toy_plain": (
        "lm_eval: Unknown model inside, `base`: `hf-fats`. Did you mean `hf-fast` or `hf-auto`?"
    ),
    "lm_eval --model calibrated --model_args base=hf,pretrained=model,calibrator=nothere --include_path tasks --tasks calib_toy_plain": (
        "lm_eval: `calibrator` must be a folder, or the name of a repository on the hub (OWNER/NAME), got `nothere`, which is no folder here."
    ),
    "lm_eval --model calibrated --model_args base=hf,pretrained=model --include_path tasks --tasks calib_toy_plain": (
        "lm_eval: `calibrator` must be a folder of `lm-calib fit`, got nothing."
    ),
    "lm_eval --model calibrated --model_args base=hf,pretrained=model,calibrator=ts --include_path tasks --tasks calib_toy_norm": (
        "lm_eval: The calibrator `ts` was fitted on documents of this evaluation (40 of 40 of `toy_norm`): figures on them would flatter it. Evaluate on other documents, or fit it on others (`lm-calib fit` has --split), or pass allow_seen=true, which marks the results."
    ),
    "lm_eval --model thermometer --model_args pretrained=model,thermometer=ts --include_path tasks --tasks calib_toy_norm": (
        "lm_eval: `ts` is the folder of a calibrator (temperature), which --model calibrated takes; a thermometer is made by `lm-calib fit thermometer`."
    ),
    "lm_eval --model calibrated --model_args base=hf,pretrained=./nothere,calibrator=ts --include_path tasks --tasks calib_toy_plain": (
        "lm_eval: `pretrained` must be the name of a model on the hub, or its folder, got `./nothere`, which does not exist."
    ),
    "lm_eval --model hf --model_args pretrained=empty --include_path tasks --tasks calib_toy_plain": (
        "lm_eval: `pretrained` must be the name of a model on the hub, or its folder, got `empty`, a folder without a config.json."
    ),
    "lm_eval --model calibrated --model_args base=hf,pretrained=model,calibratr=ts --include_path tasks --tasks calib_toy_plain": (
        "lm_eval: `calibrator` must be a folder of `lm-calib fit`, got nothing. There is `calibratr`: did you mean `calibrator`?"
    ),
    "lm_eval --model self_consistency --model_args base=hf-fast,pretrained=model,candidates=0 --include_path tasks --tasks calib_toy_generate": (
        "lm_eval: `candidates` must be a whole number, at least 1, got 0."
    ),
    "lm_eval --model hf --model_args pretrained=model --include_path tasks --tasks calib_toy_generate": (
        "lm_eval: `calib_toy_generate` judges how sure a model is of what it generates, and `hf` does not say. Put a wrapper around it that does, e.g. --model self_consistency --model_args base=hf,... (self_consistency, likelihood, semantic_entropy, beliefs, p_true, self_correct, verbalized, option_tokens), or run `toy_generate`."
    ),
    "lm_eval --model local-chat-completions --model_args base_url=http://localhost:1/v1/chat/completions,model=m --apply_chat_template --include_path tasks --tasks calib_toy_norm": (
        "lm_eval: `calib_toy_norm` scores options by their log-likelihoods, and `local-chat-completions`, a chat API, has none. Have the model state its probabilities: --model verbalized --model_args base=local-chat-completions,... --apply_chat_template."
    ),
    "lm_eval --model p_true --model_args base=local-chat-completions,base_url=http://localhost:1/v1/chat/completions,model=m --include_path tasks --tasks calib_toy_generate": (
        "lm_eval: `p_true` with `base=local-chat-completions` is answered by messages, and prompts come as plain text: add --apply_chat_template to the command."
    ),
    "lm_eval --model p_true --model_args base=local-completions,base_url=http://localhost:1/v1/completions,model=m --include_path tasks --tasks calib_toy_generate": (
        "lm_eval: `tokenizer` must be a tokenizer on the hub, or its folder, got `m`: there is no such folder, and the hub cannot be reached. A server's model needs its tokenizer's name: tokenizer=NAME; or tokenizer_backend=None where no log-likelihoods are asked for."
    ),
    "lm_eval --model p_true --model_args base=local-completions,model=m --include_path tasks --tasks calib_toy_generate": (
        "lm_eval: `base_url` must be the address of the server that `base=local-completions` asks, got nothing."
    ),
    'lm_eval --model hf --model_args pretrained=model --include_path tasks --tasks calib_toy_norm --metadata \'{"split": "validation"}\'': (
        "lm_eval: `metadata: split` must be a split of the data set of `calib_toy_norm` (`test`, `train`), got `validation`."
    ),
    'lm_eval --model hf --model_args pretrained=model --include_path tasks --tasks calib_toy_norm --metadata \'{"calibration_metrics": "nll,brierr"}\'': (
        "lm_eval: Unknown metric in `metadata: calibration_metrics`: `brierr`. Did you mean `brier`? Known: acc_at_coverage, ace, all, aurc, auroc, brier, brier_reliability, brier_resolution, brier_uncertainty, classwise_ece, coverage_at_acc, debiased_ece, default, eaurc, ece, mce, nll, prr, rmsce, smece, tl_ece."
    ),
    "lm-calib score nothere": ("lm-calib: nothere does not exist."),
    "lm-calib score ok.csv": (
        "lm-calib: ok.csv is no log, and no folder of logs. `lm-calib formats` lists what is read. If it is a table, name its columns: --confidence and --correct, or --options and --gold."
    ),
    "lm-calib score ok.csv --confidence prob --correct ok=yes": (
        "lm-calib: Unknown column in ok.csv: `prob`. Known: ok, p."
    ),
    "lm-calib score ok.csv --confidence p --correct ok=Yes": (
        "lm-calib: --correct ok=Yes: no cell of `ok` is 'Yes'; it holds 'yes' (2), 'no' (1). 'yes' differs only by case or spaces: write --correct 'ok=yes' if it means right."
    ),
    "lm-calib score percent.csv --confidence p --correct ok": (
        "lm-calib: percent.csv, row 1: `p` must be in [0, 1], got `90`: if these are percentages, divide them by 100. --skip-bad (in Python `skip_bad=True`) leaves such rows out and counts them."
    ),
    "lm-calib score toy --metrics acc,ecee": (
        "lm-calib: Unknown metric `ecee`. Did you mean `ece` or `smece` or `tl_ece`? Known: acc, acc_at_coverage, ace, aurc, auroc, brier, brier_reliability, brier_resolution, brier_uncertainty, classwise_ece, coverage_at_acc, debiased_ece, eaurc, ece, mce, nll, prr, rmsce, smece, tl_ece."
    ),
    "lm-calib score toy --calibrator nothere": (
        "lm-calib: `calibrator` must be a folder, or the name of a repository on the hub (OWNER/NAME), got `nothere`, which is no folder here."
    ),
    "lm-calib score toy --filter strict": (
        "lm-calib: `--filter` must be a filter that the files name (`none`), got `strict`."
    ),
    "lm-calib score toy --by subject": (
        "lm-calib: Unknown field of documents in toy/samples_toy_2026-01-02T03-04-05.678901.jsonl: `subject`. Known: question."
    ),
    "lm-calib score toy --json --csv": ("lm-calib: Give one of --json, --csv."),
    "lm-calib diagram toy -o toy.xyz": (
        "lm-calib: `toy.xyz` must end in .png, .svg, .pdf: figures have these formats."
    ),
    "lm-calib report toy -o letter.html": (
        "lm-calib: `letter.html` is there already, and is not a report of lm-eval-calibration. Name another file, or replace it with --overwrite."
    ),
    "lm-calib compare a.csv b.csv --confidence p --correct ok --document id": (
        "lm-calib: The runs have no document in common: a: 2 of the 2 documents are not in all runs; b: 2 of the 2 documents are not in all runs. Were they made from the same data, by the same framework? (Documents are known by what a framework logs of them.)"
    ),
    "lm-calib compare toy law": (
        "lm-calib: The runs have no document in common: toy: task toy is not in all runs; law: task law is not in all runs. Were they made from the same data, by the same framework? (Documents are known by what a framework logs of them.)"
    ),
    "lm-calib thresholds --fit toy --test law": (
        'lm-calib: The runs have no task in common: toy and law. A run on a task\'s other split has the same task: lm_eval --tasks calib_TASK --metadata \'{"split": "validation"}\'.'
    ),
    "lm-calib thresholds --fit toy --test toy": (
        "lm-calib: 6 document(s) of `toy` are in both runs: a threshold that was chosen on them flatters itself. Test it on others."
    ),
    "lm-calib fit temperature --model_args pretrained=model --tasks arc_eazy --output new": (
        "lm-calib: `--tasks` must be names of harness tasks, got `arc_eazy`. Did you mean `arc_easy` or `arc_eu_easy` or `arc_ca_easy`?"
    ),
    "lm-calib fit temperature --model hf-fats --model_args pretrained=model --tasks toy_norm --include_path tasks --output new": (
        "lm-calib: Unknown model `hf-fats`. Did you mean `hf-fast` or `hf-auto`?"
    ),
    "lm-calib fit temperature --model_args pretrained=model --tasks toy_norm --include_path tasks --split validation --output new": (
        "lm-calib: `--split` must be one of test, train (task `toy_norm`), got `validation`."
    ),
    "lm-calib fit temperature --samples ok.csv --confidence p --correct ok=yes --folds 9 --output new": (
        "lm-calib: `--folds` must be at most the number of documents, 3, got 9."
    ),
    "lm-calib fit temperature --samples toy --output toy": (
        "lm-calib: `toy` is not empty (samples_toy_2026-01-02T03-04-05.678901.jsonl), and was not made by lm-eval-calibration. Name a new folder."
    ),
    "lm-calib fit fractal --table responses.jsonl --output new": (
        "lm-calib: 8 document(s) are too few to fit on: at least 14 are needed."
    ),
}
