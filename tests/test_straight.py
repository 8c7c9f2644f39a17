"""The straight way of one row gives the bits, the labels and the refusals of the way that many rows take."""

import contextlib
import itertools
import json
import sys
import threading
import warnings
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.door import MODELS
from tests.examples import EXAMPLES
from thimble.errors import InvalidModel, MalformedBody, UnprocessableRows
from thimble.inference import network, straight
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.features import Schema
from thimble.inference.head import DECISIONS, NORMALIZATIONS, SOFTMAX, Head
from thimble.inference.predictions import Alone, Predictions
from thimble.registry.lookup import OneModel
from thimble.settings import from_environment
from thimble.tables import csv, jsonlines, npy, rows, tensors
from thimble.tables.answers import Classified, answer, answers
from thimble.web.open_inference import outputs, wire
from thimble.web.service import Service
from thimble_model import export
from thimble_model.frames import json_rows

ODD = (0.0, -0.0, 1.0, -1.0, 5e-324, 1e-300, 1e-18, 709.0, 711.0, -746.0, 1e18, -1e154, 1e300, -1.7e308)
NUMBERS = st.one_of(st.sampled_from(ODD), st.floats(-40, 40))
ROW_NUMBERS = st.one_of(NUMBERS, st.sampled_from([0, -3, 2**53 + 1, 2**63, 2**64 + 1, 10**300, 10**400]))
FEATURES = st.integers(1, 70)
IRIS = EXAMPLES["iris"]()[2], EXAMPLES["iris"]()[0], EXAMPLES["iris"]()[1]
IRIS_DOCUMENT = export(*IRIS)
IRIS_SCHEMA = load(IRIS_DOCUMENT).schema
PENGUINS = load((MODELS / "penguins.json").read_bytes())


PLAIN = st.fixed_dictionaries(
    {"out_activation": st.sampled_from(sorted(straight.ACTIVATIONS)), "multilabel": st.just(False)},
    optional={
        "activation": st.sampled_from(sorted(network.ACTIVATIONS)),
        "decision": st.sampled_from(DECISIONS),
    },
)
TIES = st.sampled_from([{}, {"ties": "last"}])
NOT_PLAIN: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"normalize": st.sampled_from(NORMALIZATIONS)}),
    st.just({"temperature": 0.3}),
    st.fixed_dictionaries({"multilabel": st.booleans()}),
    st.fixed_dictionaries({"out_activation": st.sampled_from(sorted(network.OUT_ACTIVATIONS))}),
)


@st.composite
def documents(draw: st.DrawFn) -> Classifier | None:
    """A network of any shape with any head; None where the two do not go together."""
    widths = [draw(FEATURES), *draw(st.lists(st.integers(1, 20), max_size=3)), draw(st.integers(1, 70))]
    rng, scale = np.random.default_rng(draw(st.integers(0, 2**32))), draw(st.sampled_from([0.3, 1.0, 0.0]))
    coefs = [scale * rng.normal(size=fans) for fans in itertools.pairwise(widths)]
    intercepts = [scale * rng.normal(size=width) for width in widths[1:]]
    odd = draw(st.lists(NUMBERS, max_size=3))
    for value in odd:
        array = [*coefs, *intercepts][rng.integers(2 * len(coefs))]
        array.flat[rng.integers(array.size)] = value
    document = draw(PLAIN) | (draw(NOT_PLAIN) if draw(st.integers(0, 4)) == 0 else {})
    document |= draw(TIES) if widths[-1] == 1 else {}
    document |= {
        "format": "thimble",
        "format_version": 1,
        "coefs": [W.tolist() for W in coefs],
        "intercepts": [b.tolist() for b in intercepts],
        "classes": list(range(max(2, widths[-1]))),
    }
    try:
        return load(json.dumps(document).encode())
    except InvalidModel:
        return None


def together(classifier: Classifier, row: Any) -> Predictions:
    """The answer to a row by the way of many."""
    table = rows.batch(classifier.schema, [row] * 3)
    found = classifier._replace(straight=None).predict(table)
    first = tuple(scores.take(slice(1)) for scores in found.outputs)
    return Predictions(first, {row: why for row, why in found.rejected.items() if row == 0})


def bits(predictions: Predictions) -> list[tuple[bytes, list[int], bytes]]:
    return [
        (np.ascontiguousarray(p).tobytes(), labels.tolist(), np.ascontiguousarray(mask).tobytes())
        for p, labels, mask, _ in predictions.outputs
    ]


def straight_answer(classifier: Classifier, row: Any) -> Alone | None:
    """The answer to a row by the straight way; None if it takes the other."""
    values = rows.alone(classifier.schema, [row])
    return None if values is None else classifier.predict_alone(values)


@given(classifier=documents(), data=st.data())
def test_the_straight_way_gives_the_bits_of_the_other(
    classifier: Classifier | None, data: st.DataObject
) -> None:
    if classifier is None:
        return
    n = classifier.n_features
    numbers = data.draw(st.sampled_from([st.floats(-3, 3), ROW_NUMBERS]))
    values = data.draw(st.lists(numbers, min_size=n, max_size=n))
    table = rows.batch(classifier.schema, [values])
    if table.faults:
        assert straight_answer(classifier, values) is None
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alone, expected = straight_answer(classifier, values), together(classifier, values)
        assert classifier.predict(table).rejected == expected.rejected
    if not expected.rejected:
        assert bits(classifier.predict(table)) == bits(expected)
    if alone is not None:
        assert bits(Predictions.alone(*alone)) == bits(expected)
        assert not expected.rejected
        [head] = classifier.heads
        assert [answer(head, *alone)] == answers(classifier, expected)


@pytest.mark.parametrize("out_activation", sorted(straight.ACTIVATIONS))
@pytest.mark.parametrize("classes", [2, 3, straight.MOST_CLASSES])
@pytest.mark.parametrize("decision", ["probabilities", "logits"])
def test_plain_heads_have_a_straight_way(out_activation: str, classes: int, decision: str) -> None:
    outputs = 1 if classes == 2 and out_activation not in SOFTMAX else classes
    document = {
        "coefs": [np.eye(4, outputs).tolist()],
        "intercepts": [[0.0] * outputs],
        "classes": list(range(classes)),
        "out_activation": out_activation,
        "decision": decision,
        "multilabel": False,
    }
    data = json.dumps(document | {"format": "thimble", "format_version": 1}).encode()
    assert load(data).predict_alone([1, 2.5, 3, 4]) is not None


TIED = {"format": "thimble", "format_version": 1, "multilabel": False}
LINEAR = {"coefs": [[[0.5]]], "intercepts": [[0.0]], "classes": [0, 1], "out_activation": "logistic"} | TIED


@pytest.mark.parametrize("ties", ["first", "last"])
@pytest.mark.parametrize("decision", DECISIONS)
def test_at_the_threshold_the_same_class_wins(ties: str, decision: str) -> None:
    activation = "identity" if decision == "scores" else "logistic"
    document: dict[str, Any] = {
        "classes": [0, 1],
        "out_activation": activation,
        "decision": decision,
        "ties": ties,
    }
    document |= TIED | {"coefs": [[[0.0]]], "intercepts": [[0.0]]}
    classifier = load(json.dumps(document).encode())
    alone, expected = classifier.predict_alone([1.0]), together(classifier, [1.0])
    assert alone is not None
    assert bits(Predictions.alone(*alone)) == bits(expected)
    assert alone[0] == (ties == "last")


@pytest.mark.parametrize(("decision", "label"), [("probabilities", 0), ("logits", 1)])
def test_what_is_compared_is_what_the_head_compares(decision: str, label: int) -> None:
    """Two scores that differ, and have the same probability."""
    document: dict[str, Any] = {"classes": [0, 1], "out_activation": "softmax", "decision": decision}
    document |= TIED | {"coefs": [[[0.0, 0.0]]], "intercepts": [[0.0, 5e-324]]}
    classifier = load(json.dumps(document).encode())
    alone = classifier.predict_alone([1.0])
    assert alone == (label, [0.5, 0.5])
    assert bits(Predictions.alone(*alone)) == bits(together(classifier, [1.0]))


def test_every_field_of_a_head_is_looked_at() -> None:
    """A field that is new may not leave a head plain unseen: look at it in `straight`, then add it here."""
    assert set(Head._fields) == {
        *("name", "prefix", "classes", "texts"),  # do not matter
        *("multilabel", "normalize", "temperature", "out_activation"),  # say whether a head is plain
        *("apart", "threshold", "positive", "of_shown", "abstain_below"),  # say so too
        "conformal",  # changes no label
        *("decision", "binary", "bar", "at_bar"),  # are heeded
    }


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_worked_example_gives_a_row_alone_what_it_gets_among_others(name: str) -> None:
    X, y, estimator = EXAMPLES[name]()
    classifier = load(export(estimator, X, y))
    found = json_rows(classifier.features, X[:40])
    expected = answers(classifier, classifier.predict(rows.batch(classifier.schema, found)))
    assert [asked(classifier, row) for row in found] == expected


def asked(classifier: Classifier, row: list[Any]) -> dict[str, Any]:
    """The answer to a row as a request gets it."""
    models = OneModel("", lambda uri: b"")
    models._classifier = classifier
    service = Service(models, from_environment({}))
    [found] = service.classify(rows.Rows([row])).answers
    return found


@example([True, 2.0, 3.0, 4.0])
@example([1.0, 2.0, 3.0])
@example([1.0, 2.0, 3.0, 4.0, 5.0])
@example([1.0, None, 3.0, 4.0])
@example([1.0, float("inf"), float("-inf"), 4.0])
@example([10**400, 2.0, 3.0, 4.0])
@example({"a": 1.0})
@example("1,2,3,4")
@given(st.lists(st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=2)), max_size=5))
def test_what_is_no_row_of_numbers_is_refused_as_ever(row: Any) -> None:
    service = Service(OneModel("", lambda uri: IRIS_DOCUMENT), from_environment({}))
    classifier = service.models.get()
    batch = rows.batch(classifier.schema, [row])
    if not batch.faults:
        assert len(service.classify(rows.Rows([row])).answers) == 1
        return
    with pytest.raises(Exception, match=r"instances\[0\]") as caught:
        service.classify(rows.Rows([row]))
    assert batch.faults[0].discreet in str(caught.value)


CELLS = st.one_of(
    st.floats().map(repr),
    st.integers(-(2**64), 2**65).map(str),
    st.sampled_from(
        ["", " 1", "+1", "1e400", "true", "null", "[1]", '"1"', "a", "-0.0", "5e-324", "[", "\\u0061"]
    ),
)
ENDS = st.sampled_from(["", "\n", "\r\n", "\n\n", "\n1,2,3,4\n"])
NAMED = json.loads((MODELS / "iris.json").read_bytes())["feature_names_in"]


@given(cells=st.lists(CELLS, max_size=5), end=ENDS, said=st.sampled_from(["", "absent", "present"]))
def test_a_body_of_one_row_is_read_as_among_others(cells: list[str], end: str, said: str) -> None:
    body = (",".join(cells) + end).encode()
    assert_alone_as_in_a_batch(csv.Body(body, said), csv.Body(body, said))
    lines = (f"[{','.join(cells)}]" + end).encode()
    with contextlib.suppress(MalformedBody):
        assert_alone_as_in_a_batch(jsonlines.body(lines, {}), jsonlines.body(lines, {}))


@given(
    array=arrays(
        st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.uint64, np.bool_]),
        st.tuples(st.integers(0, 2), st.integers(3, 5)),
    )
)
def test_a_tensor_of_one_row_is_read_as_among_others(array: Any) -> None:
    assert_alone_as_in_a_batch(tensors.Matrix(array, "x"), tensors.Matrix(array, "x"))


@given(array=arrays(np.float64, st.tuples(st.just(1), st.integers(3, 5))))
def test_a_tensor_of_one_row_is_the_same_as_a_list(array: Any) -> None:
    for schema in (IRIS_SCHEMA, PENGUINS.schema):
        read = [
            _read(table, schema)
            for table in (tensors.Matrix(array.tolist(), "x"), tensors.Matrix(array, "x"))
        ]
        assert read[0] == read[1]


def test_a_tensor_of_one_row_is_no_array() -> None:
    row = [0.5, 1.5, 2.5]
    found = wire.from_json("x", "FP64", [1, 3], row), wire.from_json("x", "FP64", [1, 3], [row])
    sent = wire.from_bytes("x", "FP64", [1, 3], memoryview(np.array(row).tobytes()))
    assert [tensor.data for tensor in (*found, sent)] == [row] * 3


def _read(table: rows.Table, schema: Schema) -> Any:
    """What a table comes to, bit by bit."""
    try:
        batch = table.batch(schema, 10)
    except UnprocessableRows as error:
        return str(error)
    return batch.numbers.tobytes(), batch.faults, table.alone(schema)


WORDS = st.one_of(st.sampled_from([None, "Dream", "male", "NA", "", "1.5"]), st.text(max_size=2))


@given(words=st.lists(WORDS, min_size=3, max_size=3), numbers=arrays(np.float64, 3))
def test_a_row_of_texts_is_read_as_among_others(words: list[str | None], numbers: Any) -> None:
    types = {"types": ["text", "text", "free_text"], "missing": [0], "outputs": [3], "steps": [
        {"op": "encode", "column": 0, "categories": ["Dream", "NA"], "unknown": 7.0}]}  # fmt: skip
    schema = load(json.dumps(LINEAR | {"preprocessing": types}).encode()).schema
    table = tensors.Matrix(np.array([words], np.object_), "x")
    assert_alone_as_in_a_batch(table, table, schema)
    assert_alone_as_in_a_batch(rows.Rows([words]), rows.Rows([words]), schema)
    mixed = rows.Rows([[words[0], *numbers.tolist(), 3700, words[1]]])
    assert_alone_as_in_a_batch(mixed, mixed, PENGUINS.schema)


def assert_alone_as_in_a_batch(table: rows.Table, same: rows.Table, schema: Schema = IRIS_SCHEMA) -> None:
    """The values are those of the batch, which has no fault; None is left to it."""
    values = table.alone(schema)
    if values is not None:
        batch, alone = same.batch(schema, 10), Batch.alone(schema.features, values)
        assert not batch.faults
        assert batch.numbers.tobytes() == alone.numbers.tobytes()
        assert [texts.tolist() for texts in batch.texts.values()] == [*map(list, alone.texts.values())]


@pytest.mark.parametrize("table", [
    rows.Rows([[5.1, 3.5, 1.4, 0.2]]),
    rows.RowOrRows([5.1, 3.5, 1.4, 0.2], "body"),
    rows.Rows([dict(zip(NAMED, [5.1, 3.5, 1.4, 0.2], strict=True))]),
    csv.Body(b"5.1,3.5,1.4,0.2\r\n"),
    jsonlines.body(b"[5.1, 3.5, 1.4, 0.2]\n", {}),
    tensors.Matrix(np.array([[5.1, 3.5, 1.4, 0.2]]), "x"),
    tensors.Matrix([[5.1, 3.5, 1.4, 0.2]], "x"),
])  # fmt: skip
def test_a_row_of_numbers_goes_the_straight_way_whatever_it_comes_as(table: rows.Table) -> None:
    found = Service(OneModel("", lambda uri: IRIS_DOCUMENT), from_environment({})).classify(table)
    assert found.alone == load(IRIS_DOCUMENT).predict_alone([5.1, 3.5, 1.4, 0.2])
    assert found.alone is not None


@pytest.mark.parametrize("decision", DECISIONS)
@pytest.mark.parametrize(
    "classes", [["a", 'b,"', "c\n"], [1, 2, -3], [0.5, 1.5, -2.0], [2**63, 1, 2], ["", "é", "1"]]
)
def test_an_answer_in_plain_numbers_is_written_as_one_in_arrays(decision: str, classes: list[Any]) -> None:
    activation = "identity" if decision == "scores" else "softmax"
    network = {"coefs": [[[1.0, -1.0, 0.5]]], "intercepts": [[0, 0.1, 0]], "out_activation": activation}
    classifier = load(json.dumps(network | {"classes": classes, "decision": decision}).encode())
    alone = classifier.predict_alone([0.7])
    assert alone is not None
    plain, in_arrays = (Classified(classifier, 1, found) for found in (alone, Predictions.alone(*alone)))
    for module in (csv, jsonlines, npy):
        assert module.written(plain, {}) == module.written(in_arrays, {})
    ranked = "scores" if decision == "scores" else "probabilities"
    for wanted in (None, [{"name": ranked, "parameters": {"classification": 2}}]):
        for written in (wire.to_json, wire.to_bytes):
            one, other = (
                [
                    orjson.dumps(written(tensor), default=bytes.hex)
                    for tensor, _ in outputs.chosen(found, wanted, False)
                ]
                for found in (plain, in_arrays)
            )
            assert one == other


@pytest.mark.parametrize("name", ["iris", "penguins"])
def test_threads_do_not_mix_up_their_rows(name: str) -> None:
    classifier = load((MODELS / f"{name}.json").read_bytes())
    X = json_rows(classifier.features, EXAMPLES[name]()[0])
    expected = {i: straight_answer(classifier, X[i]) for i in range(len(X))}
    assert None not in expected.values()
    wrong: list[int] = []

    def ask(start: int) -> None:
        for k in range(3000):
            i = (start + 7 * k) % len(X)
            if straight_answer(classifier, X[i]) != expected[i]:
                wrong.append(i)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=ask, args=(start,)) for start in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


def test_a_row_leaves_nothing_to_the_next() -> None:
    """Arrays are kept between rows: no answer is one of them, and numbers too large are forgotten."""
    classifier = load(IRIS_DOCUMENT)
    rows_ = [[5.1, 3.5, 1.4, 0.2], [-1.7e308, 1.7e308, -1.7e308, 1.7e308], [6.0, 2.5, 6.3, 1.9]]
    found = [classifier.predict_alone(row) for row in rows_]
    assert found[1] is None
    for row, kept in zip(rows_[::2], found[::2], strict=True):
        fresh = load(IRIS_DOCUMENT).predict_alone(row)
        assert kept == fresh
        assert fresh is not None
        assert bits(Predictions.alone(*fresh)) == bits(together(classifier, row))


def test_a_batch_of_one_row_is_of_the_straight_way_too() -> None:
    classifier = load(IRIS_DOCUMENT)
    batch = Batch.alone(classifier.features, [5.1, 3.5, 1.4, 0.2])
    alone = classifier.predict_alone([5.1, 3.5, 1.4, 0.2])
    assert alone is not None
    assert bits(classifier.predict(batch)) == bits(Predictions.alone(*alone))


@pytest.mark.parametrize("n", [1, 2])
def test_a_nan_that_signals_is_rejected_in_silence(n: int) -> None:
    classifier = load((MODELS / "iris.json").read_bytes())
    table = tensors.Matrix(np.full((n, 4), 0x7FA00001, np.uint32).view(np.float32), "input")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnprocessableRows, match=r"^input\[0\]\[0\] is NaN"):
            rows.read(table, classifier.schema, 10)
