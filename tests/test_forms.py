"""Whatever pandas, NumPy or Arrow can hold in a column: not looked at where the model does not read it, and
named, with a way out, where it does."""

from __future__ import annotations

import datetime
import json
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from thimble_model import Unsupported, export

N = 20
X = pd.DataFrame({"x": np.random.default_rng(0).normal(size=N)})
Y = ["a", "b"] * (N // 2)
DAYS = pd.date_range("2020-01-01", periods=4).repeat(5)
DATES = [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)] * 10


def arrow(values: Any, type_: Any) -> Any:
    return pd.Series(values, dtype=pd.ArrowDtype(type_))


def objects(*values: Any) -> Any:
    return pd.Series(list(values) * (N // len(values)), dtype=object)


COLUMNS: dict[str, Any] = {
    "timestamps": pd.Series(DAYS),
    "with a zone": pd.Series(DAYS.tz_localize("UTC")),
    "with gaps": pd.Series(DAYS).where(np.arange(N) > 2),
    "in seconds": pd.Series(np.array(["2020-01-01", "2020-01-02"] * 10, "M8[s]")),
    "periods": pd.Series(DAYS.to_period("M")),
    "durations": pd.Series(DAYS - DAYS[0]),
    "dates": pd.Series(DATES),
    "times of day": objects(datetime.time(1), datetime.time(2)),
    "decimals": objects(Decimal("1.5"), Decimal(2)),
    "bytes": objects(b"a", b"b"),
    "nullable booleans": pd.Series([True, False, None, True] * 5, dtype="boolean"),
    "nullable integers": pd.Series([1, 2, None, 4] * 5, dtype="Int64"),
    "nullable floats": pd.Series([1, 2, None, 4] * 5, dtype="Float32"),
    "NumPy's booleans": objects(np.bool_(True), np.bool_(False)),
    "NumPy's texts": objects(np.str_("a"), np.str_("b")),
    "booleans or nothing": objects(True, None),
    "categories": pd.Series(["x", "y"] * 10, dtype="category"),
    "categories of numbers": pd.Series([1, 2] * 10, dtype="category"),
    "categories of timestamps": pd.Series(DAYS).astype("category"),
    "intervals": pd.Series(pd.cut(np.arange(N), 4)),
    "plain intervals": pd.Series(pd.arrays.IntervalArray.from_breaks(np.arange(N + 1))),
    "sparse numbers": pd.Series(pd.arrays.SparseArray([0.0, 1.0] * 10)),
    "sparse booleans": pd.Series(pd.arrays.SparseArray([True, False] * 10)),
    "complex numbers": pd.Series([1j, 2] * 10),
    "strings": pd.Series(["x", None] * 10, dtype="string"),
    "Arrow's strings": arrow(["x", "y"] * 10, pa.string()),
    "Arrow's booleans": arrow([True, False] * 10, pa.bool_()),
    "Arrow's integers": arrow([1, None] * 10, pa.int32()),
    "Arrow's lists": arrow([[1], [2]] * 10, pa.list_(pa.int64())),
    "Arrow's structs": arrow([{"a": 1}] * 20, pa.struct([("a", pa.int64())])),
    "Arrow's decimals": arrow([Decimal("1.50"), Decimal("2.00")] * 10, pa.decimal128(5, 2)),
    "Arrow's timestamps": arrow(DAYS, pa.timestamp("us")),
    "Arrow's dates": arrow(DATES, pa.date32()),
    "Arrow's durations": arrow(DAYS - DAYS[0], pa.duration("ns")),
    "Arrow's bytes": arrow([b"a", b"b"] * 10, pa.binary()),
    "mixed": objects(1, "a", None, 2.5),
    "tuples": objects((1, 2), (3, 4)),
    "sets": objects({1}, {2}),
    "arrays": objects(np.zeros(2), np.ones(3)),
    "nothing": objects(None),
    "half precision": pd.Series(np.array([1, 2] * 10, np.float16)),
    "long doubles": pd.Series(np.array([1, 2] * 10, np.longdouble)),
    "large integers": objects(2**70, 3),
    "half a surrogate pair": objects("\ud800", "b"),
    "objects": objects(UUID(int=1), UUID(int=2)),
}


def fitted(table: pd.DataFrame, how: Any = "drop") -> Any:
    preparation = ColumnTransformer([("x", "passthrough", ["x"]), ("odd", how, ["odd"])])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make_pipeline(preparation, LogisticRegression()).fit(table, Y)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_that_the_model_never_reads_may_hold_anything(name: str) -> None:
    table = X.assign(odd=COLUMNS[name])
    document = json.loads(export(fitted(table), table, Y))
    assert document["preprocessing"]["types"] == ["number", "unused"]
    without = json.loads(export(fitted(X.assign(odd=0.0)), X.assign(odd=0.0), Y))
    assert document["training"]["data_digest"] == without["training"]["data_digest"]
    assert document["examples"] == without["examples"]


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=5), st.sampled_from([*COLUMNS])
    )
)
def test_any_columns_beside_those_that_are_read_change_nothing(others: dict[str, str]) -> None:
    others.pop("x", None)
    table = X.assign(**{name: COLUMNS[kind] for name, kind in others.items()})
    estimator = make_pipeline(ColumnTransformer([("x", "passthrough", ["x"])]), LogisticRegression())
    document = json.loads(export(estimator.fit(table, Y), table, Y))
    alone = json.loads(export(LogisticRegression().fit(X, Y), X, Y))
    assert document["training"]["scores"] == alone["training"]["scores"]
    assert document["training"]["data_digest"] == alone["training"]["data_digest"]


WAYS = {
    "one-hot": OneHotEncoder(handle_unknown="ignore"),
    "ordinal": OrdinalEncoder(),
    "scaled": StandardScaler(),
    "as it is": "passthrough",
    "filled": make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_that_the_model_reads_is_exact_or_named(name: str, way: str) -> None:
    """What scikit-learn fits on it is a document that was compared with it, or a sentence."""
    table = X.assign(odd=COLUMNS[name])
    try:
        estimator = fitted(table, WAYS[way])
    except (TypeError, ValueError, AttributeError, NotImplementedError):
        return  # scikit-learn refuses it
    refusal = ""
    try:
        export(estimator, table, Y)
    except Unsupported as error:
        refusal = str(error)
    assert not refusal or "column 'odd'" in refusal or "a computed column" in refusal or name in OTHERWISE


OTHERWISE = ("nothing", "booleans or nothing")  # are refused by other sentences


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "timestamps",
            "column 'odd' holds timestamps, for which a document has no form: turn it into numbers or",
        ),
        ("categories of timestamps", "column 'odd' holds timestamps"),
        ("dates", "column 'odd' holds timestamps"),
        ("periods", "column 'odd' holds periods"),
        ("durations", "holds durations, for which a document has no form: turn it into numbers (.dt.total_s"),
        (
            "intervals",
            "holds intervals, for which a document has no form: turn it into texts (.astype(str)), and",
        ),
        ("decimals", "column 'odd' holds decimals"),
        (
            "bytes",
            'holds bytes, for which a document has no form: turn it into texts (.str.decode("utf-8")), and',
        ),
        ("objects", "column 'odd' holds objects"),
        ("half a surrogate pair", "column 'odd' holds broken texts"),
    ],
)
def test_a_category_that_has_no_form_in_a_document_says_why_and_what_to_do(name: str, sentence: str) -> None:
    table = X.assign(odd=COLUMNS[name])
    with pytest.raises(Unsupported) as raised:
        export(fitted(table, OneHotEncoder()), table, Y)
    assert sentence in str(raised.value)
    assert str(raised.value).endswith("and fit again")


def test_the_way_out_leads_out() -> None:
    ways: dict[str, Callable[[Any], Any]] = {
        "timestamps": lambda column: column.astype(str),
        "with a zone": lambda column: column.dt.year,
        "intervals": lambda column: column.astype(str),
        "durations": lambda column: column.dt.total_seconds(),
        "decimals": lambda column: column.astype(float),
        "bytes": lambda column: column.str.decode("utf-8"),
        "objects": lambda column: column.astype(str),
    }
    for name, made in ways.items():
        table = X.assign(odd=made(COLUMNS[name]))
        export(fitted(table, OneHotEncoder()), table, Y)
