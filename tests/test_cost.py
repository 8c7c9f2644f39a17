"""What a document may cost: what is beyond the bounds is refused before it has taken time or memory."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from sklearn.neural_network import MLPClassifier

from thimble.errors import InvalidModel
from thimble.inference import cost, strict_json
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.cost import MAX_MULTIPLICATIONS, MAX_NUMBERS, Cost
from thimble.inference.document import MAX_MEMORY
from thimble_model import Unsupported, export
from thimble_model.check import check, facts

ROOT = Path(__file__).parents[1]
LAST = {"classes": ["a", "b"], "coefs": [[[0.5]]], "intercepts": [[0.1]], "out_activation": "logistic"}


def hidden(units: int, features: int = 1) -> dict[str, Any]:
    weights = [[[0.5] * units] * features, [[0.5]] * units]
    return LAST | {"coefs": weights, "intercepts": [[0.5] * units, [0.1]]}


def prepared(*steps: dict[str, Any]) -> dict[str, Any]:
    preprocessing = {"types": ["number"], "missing": [0], "steps": list(steps), "outputs": [0]}
    return LAST | {"preprocessing": preprocessing}


def reading(n: int, **keys: Any) -> dict[str, Any]:
    return {"columns": [0] * n, **keys}


TOO_DEAR: dict[str, tuple[dict[str, Any], str]] = {
    "a layer of 100,000 units": (hidden(100_000), "The model costs 6,601,064 multiplications a row"),
    "99,999 features": (hidden(50, 99_999), "The model costs 5,"),
    "20 times 90,000 columns required": (
        prepared(*[reading(90_000, op="require")] * 20),
        "preprocessing.steps[2] costs 4,320,000 multiplications a row; the most is 4,000,000",
    ),
    "100,000 columns required": (prepared(reading(100_000, op="require")), "preprocessing.steps[0] costs"),
    "sums of 90,000 columns": (
        prepared(*[reading(90_000, op="linear", coefs=[[1]] * 90_000, intercepts=[0])] * 3),
        "preprocessing.steps[2] costs 4,590,048 multiplications",
    ),
    "19,000 columns among quantiles": (
        prepared(reading(19_000, op="quantiles", quantiles=[[0, 1]] * 19_000, distribution="normal")),
        "preprocessing.steps[0] costs 14,592,000 multiplications",
    ),
    "4,000 outputs": ({"outputs": [{"name": str(i), **LAST} for i in range(4_000)]}, "The model costs 4,"),
}


@pytest.mark.parametrize(("document", "sentence"), TOO_DEAR.values(), ids=TOO_DEAR)
def test_a_document_that_asks_for_too_much_is_refused(document: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidModel) as refusal:
        load(orjson.dumps(document))
    assert str(refusal.value).startswith(sentence)
    assert str(refusal.value).endswith(": make the model smaller")


def test_what_costs_as_much_as_it_may_is_taken() -> None:
    cost.check(Cost(MAX_MULTIPLICATIONS, MAX_NUMBERS), "It")
    for dear in (Cost(MAX_MULTIPLICATIONS + 1, 1), Cost(1, MAX_NUMBERS + 1)):
        with pytest.raises(InvalidModel, match=r"^It costs "):
            cost.check(dear, "It")


def test_the_parts_of_a_document_add_up() -> None:
    network = hidden(10, 3)
    assert load(orjson.dumps(network)).document.cost == Cost(
        1_000 + 3 * 10 + 64 * 10 + 10 * 1 + 64, 3 + 2 + (10 + 3) + 1
    )
    step = reading(5, op="impute", values=[0] * 5)
    found = load(orjson.dumps(prepared(step, reading(2, op="require"))))
    assert found.document.cost == Cost(16 * 5 + 16 * 2 + 1_000 + 1 + 64, 6 + (5 + 5) + 2 + (1 + 1) + 1)


def peak_of(classifier: Classifier, rows: int) -> int:
    batch = Batch(np.ones((classifier.n_features, rows)), {})
    tracemalloc.start()
    try:
        classifier.predict(batch)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_widest_network_takes_no_more_memory_for_many_rows() -> None:
    wide = load(orjson.dumps(hidden(50_000, 2)))
    assert wide.chunk < 100
    assert peak_of(wide, 2_000) < 64 * 2**20  # all at once, 2,000 rows of 50,000 numbers would be 800 MB


@pytest.mark.parametrize("repeated", [60_000, 90_000])
def test_a_column_that_a_step_reads_often_takes_no_more_memory(repeated: int) -> None:
    found = load(orjson.dumps(prepared(reading(repeated, op="require"))))
    tracemalloc.start()
    found.predict(Batch.of(found.features, [np.full(200, np.nan)]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 2**20


def test_the_size_of_a_chunk_changes_no_bit() -> None:
    wide = load(orjson.dumps(hidden(20_000, 2)))
    X = np.random.default_rng(0).normal(size=(2, 300))
    together = wide.predict(Batch.of(wide.features, X)).outputs[0].probabilities
    alone = [
        wide.predict(Batch.of(wide.features, X[:, i : i + 1])).outputs[0].probabilities for i in range(300)
    ]
    assert together.tobytes() == np.hstack(alone).tobytes()
    assert (
        wide._replace(chunk=4)
        .predict(Batch.of(wide._replace(chunk=4).features, X))
        .outputs[0]
        .probabilities.tobytes()
        == together.tobytes()
    )


VALUES = {
    "lists": b"[]",
    "lists of a number": b"[0]",
    "objects": b"{}",
    "objects of a key": b'{"a":0}',
    "numbers": b"0",
    "texts": b'""',
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_body_of_many_values_is_refused_before_it_is_read(value: bytes) -> None:
    body = b"[" + b",".join([value] * (2**24 // (len(value) + 1))) + b"]"
    tracemalloc.start()
    with pytest.raises(InvalidModel, match="so many values that it could take"):
        load(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("escaped", [b'"a"', b'"\\u0061"'], ids=["plain", "escaped"])
def test_what_reading_takes_is_no_more_than_was_foreseen(value: bytes, escaped: bytes) -> None:
    body = b"{" + escaped + b":[" + b",".join([value] * 20_000) + b"]}"
    tracemalloc.start()
    found = strict_json.loads(body)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(found["a"]) == 20_000
    assert kept <= strict_json.memory(body) + len(body)


def test_a_model_that_would_be_refused_is_not_exported() -> None:
    wide = MLPClassifier((65_000,), max_iter=1, random_state=0)
    with pytest.warns(match="Maximum iterations"):
        wide.fit(np.eye(4), [0, 1, 0, 1])
    with pytest.raises(Unsupported, match=r"would be refused: The model costs 4,.* multiplications a row"):
        export(wide)


def test_a_check_says_what_a_row_costs() -> None:
    data = (ROOT / "model/iris.json").read_bytes()
    lines = dict(facts(check(data)))
    found = load(data).document.cost
    assert lines["Cost"] == f"{found.multiplications:,} multiplications and {found.numbers:,} numbers a row"


def test_the_readme_states_the_bounds_and_the_weights() -> None:
    readme = (ROOT / "model/README.md").read_text()
    weights = (cost.COLUMN, cost.FUNCTION, cost.CURVE, cost.RANK)
    numbers = [f"{number:,}" for number in (MAX_MULTIPLICATIONS, MAX_NUMBERS, cost.OUTPUT, *weights)]
    numbers += [f"{MAX_MEMORY // 2**20} MiB", *map(str, strict_json.WEIGHTS.values())]
    assert [number for number in numbers if number not in readme] == []
