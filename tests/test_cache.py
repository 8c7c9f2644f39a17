"""What a model weighs is measured, not guessed, and the bound is the bound."""

import gc
import json
import tracemalloc
from pathlib import Path

import numpy as np
import orjson
import pytest

from thimble.inference.classifier import Classifier, load
from thimble.registry.cache import Cache, weight

MODEL = Path(__file__).parents[1] / "model"


def one(name: str, number: int = 0) -> Classifier:
    document = json.loads((MODEL / f"{name}.json").read_bytes())
    return load(orjson.dumps({**document, "training": {"number": number}}))


@pytest.mark.parametrize("name", ["iris", "penguins", "digits"])
def test_the_weight_of_a_model_is_the_memory_that_it_takes(name: str) -> None:
    documents = [
        orjson.dumps({**json.loads((MODEL / f"{name}.json").read_bytes()), "n_iter": n}) for n in range(21)
    ]
    load(documents[20])  # whatever is made once
    gc.collect()
    tracemalloc.start()
    try:
        loaded = [load(document) for document in documents[:20]]
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(map(weight, loaded)) == pytest.approx(taken, rel=0.2)


def test_arrays_count_once_however_often_they_are_seen() -> None:
    array = np.zeros(1000)
    assert 8000 <= weight([array, array, array[:10], array[:, np.newaxis]]) < 9000


def test_the_one_that_was_not_asked_for_longest_makes_room() -> None:
    models = [one("iris", number) for number in range(4)]
    cache = Cache(3 * weight(models[0]) + 100)
    for number in range(3):
        cache.put(number, models[number])
    cache.get(0)
    cache.put(3, models[3])
    assert [cache.get(number) is not None for number in range(4)] == [True, False, True, True]
    assert cache.bytes <= cache.limit


def test_one_key_counts_once() -> None:
    cache = Cache(2**20)
    for _ in range(3):
        cache.put("iris", one("iris"))
    assert (len(cache), cache.bytes) == (1, weight(cache.get("iris")))


def test_what_is_larger_than_the_bound_is_kept_alone() -> None:
    cache = Cache(1)
    for name in ("iris", "digits"):
        cache.put(name, one(name))
        assert cache.get(name) is not None
        assert len(cache) == 1
