"""What 0.5's class for vLLM imports and does not use on one device."""
