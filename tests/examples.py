"""The worked examples, trained once a process: who changes a table changes a copy."""

from functools import cache

from thimble_model import examples

EXAMPLES = {name: cache(train) for name, train in examples.EXAMPLES.items()}
