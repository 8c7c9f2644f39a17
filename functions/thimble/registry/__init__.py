"""Choose the model that answers: published versions, the pointer to the current one, canaries and a cache.

lookup     the interface that callers use, for one document or for published ones
published  the models of a folder; it reads a `pointer`, keeps it fresh with `refresh`, and holds a `cache`
canary     which version may be on trial, and which rows it answers
prefetch   fetches the default model's document while the libraries are imported
"""
