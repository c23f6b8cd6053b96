"""Arguments that commands share, each with one meaning and one help text."""
