"""From labelled rows to a certified classifier, and certified again."""
