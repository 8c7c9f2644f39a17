"""Which model answers: published versions, the pointer that says which is current, canaries, a bounded cache.

lookup     what everybody asks, and the choice between one document and published ones
published  the models of a folder: `pointer` is what it reads, `refresh` keeps it new, `cache` bounds it
canary     which version may be on trial, and which rows it answers
prefetch   the default's document, fetched while the libraries are imported
"""
