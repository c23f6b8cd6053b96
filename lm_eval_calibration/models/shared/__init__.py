"""What the models share: wrappers, what they ask and keep, and what they ask of artifacts."""
