"""Explain why a row got its answer, in terms of the features that people send. Imported only when needed."""
