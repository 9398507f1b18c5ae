"""Decisions over HTTP: routes, a queue in front of the engine, and what protects both. `elsewise serve` starts it."""
