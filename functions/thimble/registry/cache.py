"""Loaded models within a number of bytes: the least recently used one makes room."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from thimble.inference.classifier import Classifier

SHARED = (type, type(sys), str, bytes, int, float, bool, type(None))  # nothing below them


class Kept(NamedTuple):
    classifier: Classifier
    bytes: int
    explaining: int  # how much of that is what explains it, counted in pieces


class Cache:
    """What explains a model is made when it is asked for and weighed when a model is asked for next. A model
    larger than the whole limit is kept alone: it has to answer, and loading it for every request
    would be slower. If a key is loaded twice, the later load stays."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable) -> Classifier | None:
        with self._lock:
            self._weigh_last()
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found.classifier

    def put(self, key: Hashable, classifier: Classifier) -> None:
        with self._lock:
            self._weigh_last()
            self._put(key, classifier)

    def _weigh_last(self) -> None:
        """Weigh the model that was asked for last again if more explains it now."""
        for key in reversed(self._kept):
            last = self._kept[key]
            if len(last.classifier.document.kept) > last.explaining:
                self._put(key, last.classifier)
            break

    def _put(self, key: Hashable, classifier: Classifier) -> None:
        before = self._kept.pop(key, None)
        kept = Kept(classifier, weight(classifier), len(classifier.document.kept))
        self.bytes += kept.bytes - (before.bytes if before else 0)
        self._kept[key] = kept
        while self.bytes > self.limit and len(self._kept) > 1:
            self.bytes -= self._kept.popitem(last=False)[1].bytes


def weight(root: Any) -> int:
    """Return the bytes of memory of an object and of everything that it holds, counted object by object."""
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
    """Yield what a value holds, but not its class, its module or a function's globals: models share them."""
    if isinstance(value, SHARED):
        return
    if isinstance(value, np.ndarray):
        if value.base is not None:  # a view: its memory is another's
            yield value.base
        if value.dtype == object:
            yield from value.flat
    elif isinstance(value, Mapping):
        yield from [*value.keys()]  # as they are now: what explains a model is put among them meanwhile
        yield from [*value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    elif callable(value) and hasattr(value, "__code__"):
        yield from (cell.cell_contents for cell in value.__closure__ or ())
    else:
        yield from getattr(value, "__dict__", {}).values()
        yield from (getattr(value, slot) for slot in getattr(value, "__slots__", ()) if hasattr(value, slot))
