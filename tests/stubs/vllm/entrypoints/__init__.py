"""As in vLLM 0.11."""
