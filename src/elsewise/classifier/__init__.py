"""The classifier, and the model folder that keeps it."""
