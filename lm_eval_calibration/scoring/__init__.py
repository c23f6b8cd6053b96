"""Log-likelihoods from a transformers causal model, with every shared token computed once."""
