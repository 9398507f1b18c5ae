"""A file or folder written whole or not at all, and read only as it was written."""
