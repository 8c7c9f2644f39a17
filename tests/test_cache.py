"""What a model weighs is measured, not guessed, and the bound is the bound."""

import gc
import json
import tracemalloc
from pathlib import Path

import numpy as np
import orjson
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

from thimble.inference.asked import Asked
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.registry.cache import Cache, weight
from thimble_model import export

X, Y = load_iris(return_X_y=True)
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


def forests() -> list[Classifier]:
    return [load(export(RandomForestClassifier(20, random_state=seed).fit(X, Y), X, Y)) for seed in range(3)]


def explain(classifier: Classifier | None) -> None:
    assert classifier is not None
    classifier.asking(Asked(explain=1)).predict(Batch(X.T.copy(), {}))


def test_what_explains_a_model_counts_with_it_and_goes_with_it() -> None:
    models, same = forests(), forests()[1]
    plain = [weight(model) for model in models]
    explain(same)
    assert weight(same) > 2 * plain[1]
    cache = Cache(weight(same) + plain[2] + plain[0] // 2)
    for key, model in enumerate(models):
        cache.put(key, model)
    explain(cache.get(1))
    assert (len(cache), cache.bytes) == (3, sum(plain)), "nothing is weighed while a request is answered"
    assert cache.get(2) is models[2]
    assert (len(cache), cache.bytes) == (2, weight(models[1]) + plain[2]), "the first makes room"
    assert cache.bytes <= cache.limit


def test_a_model_that_is_explained_again_weighs_what_it_did() -> None:
    cache = Cache(2**30)
    cache.put("one", forests()[0])
    for _ in range(3):
        explain(cache.get("one"))
        found = cache.get("one")
        assert cache.bytes == weight(found)


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
