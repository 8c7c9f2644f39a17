"""The leaves in which rows end, beside a plain walk down each tree."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thimble.inference import forest_keys, leaves, questions
from thimble.inference.network import BLOCK

EDGES = sorted({leaves.MANY, questions.MANY, leaves.ROWS})
ROWS = [BLOCK, *(edge // BLOCK * BLOCK + more for edge in EDGES for more in (-BLOCK, 0, BLOCK))]


def grown(
    rng: np.random.Generator, n_trees: int, n_inputs: int, full: float, missing: bool
) -> dict[str, Any]:
    """Trees whose nodes ask with this probability."""
    nodes, waiting = "", n_trees
    while waiting:
        asks = rng.random() < full and len(nodes) < 40 * n_trees
        nodes += (str(rng.choice(["l", "r"])) if missing else "n") if asks else "."
        waiting += 2 * asks - 1
    splits, n_leaves = len(nodes) - nodes.count("."), nodes.count(".")
    return {
        "inputs": n_inputs,
        "input_type": str(rng.choice(["float64", "float32"])),
        "trees": n_trees,
        "nodes": nodes,
        "columns": rng.integers(0, n_inputs, splits).tolist(),
        "thresholds": (rng.integers(-20, 20, splits) / 8).tolist(),
        "values": rng.integers(-(2**30), 2**30, n_leaves).tolist(),
        "base": [0],
    }


def oblivious(rng: np.random.Generator, n_trees: int, n_inputs: int, missing: bool) -> dict[str, Any]:
    depths = rng.integers(0, 11, n_trees)
    levels = int(depths.sum())
    return {
        "inputs": n_inputs,
        "depths": depths.tolist(),
        "nodes": "".join(rng.choice(["l", "r"] if missing else ["n"], levels)),
        "columns": rng.integers(0, n_inputs, levels).tolist(),
        "thresholds": (rng.integers(-20, 20, levels) / 8).tolist(),
        "values": rng.integers(-(2**30), 2**30, int((1 << depths).sum())).tolist(),
        "base": [0],
    }


def answered(forest: dict[str, Any], split: int, row: list[float]) -> bool:
    """Whether a row goes right."""
    x, letter = row[forest["columns"][split]], forest["nodes"].replace(".", "")[split]
    return bool(letter == "r" if np.isnan(x) else x > forest["thresholds"][split])


def walked(forest: dict[str, Any], row: list[float]) -> float:
    """The sum of the leaves; the numbers are whole, so that it is exact in any order."""
    nodes, total = forest["nodes"], 0.0
    split_of = np.cumsum([letter != "." for letter in nodes]) - 1
    leaf_of = np.cumsum([letter == "." for letter in nodes]) - 1
    for root in range(forest["trees"]):
        node = root
        while nodes[node] != ".":
            split = int(split_of[node])
            node = forest["trees"] + 2 * split + answered(forest, split, row)
        total += forest["values"][leaf_of[node]]
    return total


def walked_oblivious(forest: dict[str, Any], row: list[float]) -> float:
    total, level, first = 0.0, 0, 0
    for depth in forest["depths"]:
        place = sum(answered(forest, level + k, row) << k for k in range(depth))
        total += forest["values"][first + place]
        level, first = level + depth, first + (1 << depth)
    return total


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1),
    n=st.sampled_from(ROWS),
    n_trees=st.sampled_from([1, 2, 7, 40, 130]),
    n_inputs=st.sampled_from([1, 3, 50]),
    full=st.sampled_from([0.0, 0.5, 0.75, 0.97]),
    missing=st.booleans(),
)
def test_rows_end_where_a_walk_ends(
    seed: int, n: int, n_trees: int, n_inputs: int, full: float, missing: bool
) -> None:
    rng = np.random.default_rng(seed)
    X = rng.integers(-22, 22, (n_inputs, n)) / 8
    if missing:
        X[rng.random(X.shape) < 0.1] = np.nan
    some = rng.integers(0, n, 12)
    for forest, walk in (
        (grown(rng, n_trees, n_inputs, full, missing), walked),
        (oblivious(rng, n_trees, n_inputs, missing), walked_oblivious),
    ):
        found = forest_keys.parse(forest, "forest").scores(X)[0, some]
        assert found.tolist() == [walk(forest, row) for row in X[:, some].T.tolist()]


@pytest.mark.parametrize("n", [100, 1004])
def test_each_question_is_answered_by_itself(n: int) -> None:
    rng = np.random.default_rng(n)
    inputs, thresholds = rng.integers(0, 40, 900) ** 2 // 40, rng.integers(0, 30, 900) / 4
    Z = rng.integers(0, 120, (40, n)) / 16
    found, which = questions.Questions.distinct(inputs, thresholds)
    assert len(found.inputs) == len(set(zip(inputs.tolist(), thresholds.tolist(), strict=True)))
    expected = Z[inputs] > thresholds[:, np.newaxis]
    np.testing.assert_array_equal(found.answers(Z)[which], expected)
    np.testing.assert_array_equal(np.unpackbits(found.bits(Z), axis=1, count=n)[which], expected)


def test_numpys_buffers_are_as_they_were() -> None:
    before = np.getbufsize()
    found, _ = questions.Questions.distinct(np.zeros(3, np.intp), np.arange(3.0))
    found.answers(np.zeros((1, 1004)))
    assert np.getbufsize() == before
