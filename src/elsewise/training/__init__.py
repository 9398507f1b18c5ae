"""Fine-tune an encoder and write its graphs: the only package that imports torch at the top of its modules."""
