"""Predict files in batches: files in, files out."""
