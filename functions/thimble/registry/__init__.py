"""Which model answers: published versions, the pointer that says which is current, canaries, a bounded cache.

registry   what everybody asks, and the choice between one document and published ones
published  the models of a folder; `pointer` is what it reads, `follower` keeps up with it, `cache` bounds it
versions   how callers spell them;  `canary` which may be on trial, and which rows it answers
ahead      the default's document, fetched while the libraries are imported
"""
