"""The model document and its computations: pure functions that need only numpy and orjson."""
