"""Labelled rows: read, renamed, divided and checked."""
