"""From tasks and models, or from logged runs, to fitted calibrators."""
