"""A cache of loaded models, limited in bytes: the least recently used model is evicted first."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from thimble.inference.classifier import Classifier

SHARED = (type, type(sys), str, bytes, int, float, bool, type(None))  # what they refer to is not weighed


class Kept(NamedTuple):
    classifier: Classifier
    bytes: int
    explaining: int  # the number of parts made for explanations when it was weighed


class Cache:
    """Loaded models by key, at most `limit` bytes together.

    The parts of a model that explain its answers are made on demand; they are weighed at the next call. A
    model larger than the limit is kept alone: it has to answer, and loading it for every request would be
    slower. If a key is put twice, the later model stays.
    """

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
        """Weigh the last used model again if further parts were made to explain it."""
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
    """Return the bytes of memory of an object and of everything that it refers to, each object once."""
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
    """Yield what a value refers to, but no class, module or globals of a function: models share them."""
    if isinstance(value, SHARED):
        return
    if isinstance(value, np.ndarray):
        if value.base is not None:  # a view: the memory belongs to its base
            yield value.base
        if value.dtype == object:
            yield from value.flat
    elif isinstance(value, Mapping):
        yield from [*value.keys()]  # a copy: another thread may add a part that explains the model
        yield from [*value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    elif callable(value) and hasattr(value, "__code__"):
        yield from (cell.cell_contents for cell in value.__closure__ or ())
    else:
        yield from getattr(value, "__dict__", {}).values()
        yield from (getattr(value, slot) for slot in getattr(value, "__slots__", ()) if hasattr(value, slot))
