"""The parts that answer together, and the folder that keeps them."""
