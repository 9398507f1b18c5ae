"""Fine-tune an encoder and write its graphs: the only room that imports torch at its top."""
