"""The straight way through a pipeline gives a row the bits, the labels and the refusals of the way that many
rows take."""

import json
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.door import MODELS
from tests.test_straight import ODD, bits, straight_answer, together
from thimble.errors import InvalidModel
from thimble.inference.classifier import Classifier, load
from thimble.inference.predictions import Predictions
from thimble.inference.preprocessing import MOST_ALONE
from thimble.inference.steps.columns import Step
from thimble.inference.steps.ops import OPS
from thimble.tables import rows

TEXTS = ("a", "b", "", "NA", "größe")
POOL = (0.0, -0.0, 1.0, 2.0, -1.5, 2**53, 2**53 + 1, 1e300, -1e300)  # of documents and rows
NUMBERS = st.one_of(st.sampled_from(POOL), st.floats(-3, 3))
CODES = st.sampled_from([None, 0, 1, 2, 0.5, -1e300])
MISSING = (None, float("nan"))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "number": st.one_of(
        NUMBERS,
        st.sampled_from((*POOL, *MISSING)),
        st.sampled_from([*ODD, float("inf"), True, "1.5", 10**300, 10**400, 5e-324, 1, 3]),
    ),
    "boolean": st.sampled_from([True, False, True, False, 0, 1, 1.0, *MISSING, 2, "true"]),
    "text": st.one_of(
        st.sampled_from(TEXTS), st.sampled_from([None, *TEXTS, 1.5, "\ud800", "unseen"]), st.text(max_size=2)
    ),
    "unused": st.sampled_from([None, 1.0, "x", [1], float("inf")]),
}
VALUES["free_text"] = VALUES["text"]
TYPES = st.sampled_from([*["number"] * 5, *["text"] * 3, "boolean", "unused", "free_text"])


@st.composite
def steps(draw: st.DrawFn, numeric: list[int], texts: list[int]) -> tuple[dict[str, Any], int]:
    """A step over these columns, and how many columns it appends."""
    ops = ["impute", "one_hot", "scale", "encode", "other"] if numeric else ["encode"]
    op = draw(st.sampled_from(ops))
    if op == "encode":
        column = draw(st.sampled_from([*numeric, *texts]))
        pool = TEXTS if column in texts else POOL
        categories = draw(st.lists(st.sampled_from([*pool, None]), min_size=1, max_size=5, unique=True))
        step: dict[str, Any] = {"op": op, "column": column, "categories": categories}
        if draw(st.booleans()):
            step["codes"] = draw(st.lists(CODES, min_size=len(categories), max_size=len(categories)))
        if draw(st.booleans()):
            step["unknown"] = draw(CODES)
        return step, 1
    columns = draw(st.lists(st.sampled_from(numeric), min_size=1, max_size=3))
    n = len(columns)
    each = st.lists(NUMBERS, min_size=n, max_size=n)
    if op == "impute":
        step = {"op": op, "columns": columns, "values": draw(each)}
        return step | draw(st.sampled_from([{}, {"missing": 0.0}, {"missing": 2**53}])), n
    if op == "one_hot":
        sizes = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(any))
        return {"op": op, "columns": columns, "sizes": sizes}, sum(sizes)
    if op == "scale":
        keys = st.sampled_from(["subtract", "divide", "multiply", "add", "minimum", "maximum"])
        chosen = draw(st.lists(keys, min_size=1, max_size=3, unique=True))
        return {"op": op, "columns": columns} | {key: draw(each) for key in chosen}, n
    return {"op": "function", "columns": columns, "name": draw(st.sampled_from(["sqrt", "abs"]))}, n


@st.composite
def pipelines(draw: st.DrawFn) -> Classifier | None:
    """A program of preprocessing before a network or a tree; None where the parts do not go together."""
    types = draw(st.lists(TYPES, min_size=1, max_size=3))
    numeric = [i for i, type_ in enumerate(types) if type_ in ("number", "boolean")]
    texts = [i for i, type_ in enumerate(types) if "text" in type_]
    program, width = [], len(types)
    for _ in range(draw(st.integers(0, 4))):
        if numeric or texts:
            step, added = draw(steps(numeric, texts))
            program.append(step)
            numeric += range(width, width + added)
            width += added
    if not numeric:
        return None
    missing = [i for i, type_ in enumerate(types) if type_ != "free_text" and draw(st.integers(0, 2))]
    outputs = draw(st.lists(st.sampled_from(numeric), min_size=1, max_size=6))
    document: dict[str, Any] = {"format": "thimble", "format_version": 1, "classes": ["no", "yes"]}
    document["preprocessing"] = {"types": types, "missing": missing, "steps": program, "outputs": outputs}
    if draw(st.booleans()):
        weights = np.random.default_rng(draw(st.integers(0, 9))).normal(size=(len(outputs), 2))
        document |= {"coefs": [weights.tolist()], "intercepts": [[0.1, -0.1]], "out_activation": "softmax"}
    else:
        tree = {"inputs": len(outputs), "trees": 1, "nodes": draw(st.sampled_from(["l..", "r..", "n.."]))}
        tree |= {"columns": [0], "thresholds": [draw(NUMBERS)], "values": [-1.5, 0.5], "base": [0.1]}
        document |= {"forest": tree, "out_activation": "logistic"}
    try:
        return load(json.dumps(document).encode())
    except InvalidModel:
        return None


@settings(max_examples=3 * settings().max_examples)
@given(classifier=pipelines(), data=st.data())
def test_a_generated_pipeline_gives_a_row_alone_what_it_gets_among_others(
    classifier: Classifier | None, data: st.DataObject
) -> None:
    if classifier is None:
        return
    for _ in range(10):
        row = [data.draw(VALUES[feature.type]) for feature in classifier.features]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            alone = straight_answer(classifier, row)
            batch = rows.batch(classifier.schema, [row])
            if batch.faults:
                assert alone is None
                continue
            expected = together(classifier, row)
        if alone is not None:
            assert not expected.rejected
            assert bits(Predictions.alone(*alone)) == bits(expected)


@pytest.mark.parametrize("name", ["penguins", "sexes"])
def test_the_worked_pipelines_have_a_straight_way(name: str) -> None:
    """With whatever is missing, as lists and as objects."""
    classifier = load((MODELS / f"{name}.json").read_bytes())
    examples = classifier.document.examples
    assert examples is not None
    for values in examples.rows:
        gaps = [
            None if feature.missing else x for feature, x in zip(classifier.features, values, strict=True)
        ]
        for row in (list(values), gaps):
            named = dict(zip(classifier.feature_names or (), row, strict=True))
            alone = straight_answer(classifier, row)
            assert alone is not None
            assert alone == straight_answer(classifier, named)
            assert bits(Predictions.alone(*alone)) == bits(together(classifier, row))


def program(*steps: dict[str, Any], outputs: list[int], **keys: Any) -> Classifier:
    """A pipeline over a number and a text, either of which may be missing, before a linear model."""
    document = {
        "format": "thimble",
        "format_version": 1,
        "preprocessing": {"types": ["number", "text"], "missing": [0, 1], "steps": steps, "outputs": outputs},
        "coefs": [[[0.5, -0.5]] * len(outputs)],
        "intercepts": [[0.0, 0.0]],
        "classes": [0, 1],
        "out_activation": "softmax",
    }
    return load(json.dumps(document | keys).encode())


IMPUTE = {"op": "impute", "columns": [0], "values": [1.0]}
ENCODE = {"op": "encode", "column": 1, "categories": ["a", "b"]}


NUMBERED = {"op": "encode", "column": 0, "categories": [2**53, 2**53 + 1, 1, None], "codes": [1, 2, 3, 0]}
CASES: dict[
    str, tuple[Classifier, list[Any], list[Any]]
] = {  # the rows that are answered, and those rejected
    "known and missing": (program(IMPUTE, ENCODE, outputs=[2, 3]), [[None, "a"], [2, "b"]], [[1.0, "c"]]),
    "a missing text": (program(IMPUTE, ENCODE, outputs=[2, 3]), [[1.0, "a"]], [[1.0, None]]),
    "a number that stays missing": (program(ENCODE, outputs=[0, 2]), [[1.0, "a"]], [[None, "a"]]),
    "two integers that are one double": (
        program(NUMBERED, {"op": "one_hot", "columns": [2], "sizes": [4]}, outputs=[3, 4, 5, 6]),
        [[2**53, ""], [2**53 + 1, ""], [2.0**53, ""], [None, ""], [1, ""]],
        [[2**53 + 2, ""], [0, ""]],
    ),
    "a number that stands for missing": (
        program({**IMPUTE, "missing": 0.0}, outputs=[2]),
        [[0, "a"], [-0.0, "a"], [3.0, "a"]],
        [[None, "a"]],
    ),
    "too large, where nothing reads it": (
        program({"op": "scale", "columns": [0], "multiply": [1e300]}, ENCODE, outputs=[3]),
        [[1e5, "a"], [-1e5, "b"], [None, "a"]],
        [[1e300, "a"], [-1e300, "a"]],
    ),
    "divided by nothing": (
        program({"op": "scale", "columns": [0], "divide": [0.0]}, ENCODE, outputs=[3]),
        [],
        [[1.0, "a"], [-1.0, "b"]],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_rejected_has_no_straight_answer_and_the_rest_has_one(name: str) -> None:
    """The way of many makes the sentence."""
    classifier, answered, rejected = CASES[name]
    for row in answered:
        alone = straight_answer(classifier, row)
        assert alone is not None
        assert bits(Predictions.alone(*alone)) == bits(together(classifier, row))
    for row in rejected:
        assert straight_answer(classifier, row) is None
        assert list(together(classifier, row).rejected) == [0]


def test_integers_are_doubles_before_they_are_looked_up() -> None:
    """Of a model of numbers alone too, whose rows are read at once."""
    preprocessing = {"types": ["number"], "steps": [NUMBERED], "outputs": [1]}
    classifier = program(outputs=[1], preprocessing=preprocessing)
    for value in (2**53, 2**53 + 1, 1):
        alone = straight_answer(classifier, [value])
        assert alone is not None
        assert bits(Predictions.alone(*alone)) == bits(together(classifier, [value]))


def test_a_model_says_whether_it_has_a_straight_way_for_rows() -> None:
    """One that has none is not asked: to read the values twice costs more than it saves."""
    bounded = {"op": "scale", "columns": [0], "minimum": [0.0]}
    wide = {"op": "one_hot", "columns": [0], "sizes": [MOST_ALONE + 1]}
    assert program(IMPUTE, outputs=[2]).answers_alone
    assert not program(IMPUTE, bounded, outputs=[2]).answers_alone
    assert not program(IMPUTE, wide, outputs=[2]).answers_alone
    assert not program(IMPUTE, outputs=[2], threshold=0.3).answers_alone
    assert not load((MODELS / "messages.json").read_bytes()).answers_alone


def test_these_steps_have_a_straight_way() -> None:
    assert {op for op, step in OPS.items() if step.alone is not Step.alone} == {
        *("impute", "encode", "one_hot", "scale")
    }
