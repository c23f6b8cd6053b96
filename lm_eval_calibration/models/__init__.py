"""Language models of the harness (`LM` classes) that this package adds."""
