"""Loaded models within a number of bytes: the one that was not asked for longest makes room."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import numpy as np

from thimble.inference.classifier import Classifier

SHARED = (type, type(sys), str, bytes, int, float, bool, type(None))  # nothing below them


class Cache:
    """Of two loads of one key the later stays. A model larger than the whole bound is kept alone: it has to
    answer, and reading it again for every request would help nobody."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[Classifier, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable) -> Classifier | None:
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, classifier: Classifier) -> None:
        size = weight(classifier)
        with self._lock:
            self.bytes += size - self._kept.pop(key, (None, 0))[1]
            self._kept[key] = classifier, size
            while self.bytes > self.limit and len(self._kept) > 1:
                self.bytes -= self._kept.popitem(last=False)[1][1]


def weight(root: Any) -> int:
    """The bytes of memory that an object and all that only hangs on it take: a walk, not a guess."""
    total, seen, waiting = 0, {id(root)}, [root]
    while waiting:
        value = waiting.pop()
        total += sys.getsizeof(value)
        for part in _parts(value):
            if id(part) not in seen:
                seen.add(id(part))
                waiting.append(part)
    return total


def _parts(value: Any) -> Iterator[Any]:
    """What a value holds; not its class, its module or a function's globals, which all models share."""
    if isinstance(value, SHARED):
        return
    if isinstance(value, np.ndarray):
        if value.base is not None:  # a view: its memory is another's
            yield value.base
        if value.dtype == object:
            yield from value.flat
    elif isinstance(value, Mapping):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    elif callable(value) and hasattr(value, "__code__"):
        yield from (cell.cell_contents for cell in value.__closure__ or ())
    else:
        yield from getattr(value, "__dict__", {}).values()
        yield from (getattr(value, slot) for slot in getattr(value, "__slots__", ()) if hasattr(value, slot))
