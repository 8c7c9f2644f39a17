"""Parquet: the same columns and the answer's, row group by row group, however they are split."""

import io
import json
import math
import sys
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from thimble.errors import InvalidFile
from thimble.files import streams
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.tables.parquet import reader as parquet
from thimble.tables.parquet import thrift
from thimble.tables.parquet.reader import Footer, footer

IRIS = load((Path(__file__).parents[1] / "model" / "iris.json").read_bytes())
UNNAMED = load((Path(__file__).parent / "documents" / "data-team.json").read_bytes())
NAMES = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
ANSWERS = ["label", "probability", "p_setosa", "p_versicolor", "p_virginica"]


def table(n: int, **columns: Any) -> pl.DataFrame:
    rng = np.random.default_rng(n)
    frame = pl.DataFrame({"id": range(n)} | {name: rng.uniform(0.1, 7, n).round(1) for name in NAMES})
    return frame.with_columns(**columns)


def stored(frame: pl.DataFrame, **options: Any) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out, **options)
    return out.getvalue()


def classified(
    data: bytes, classifier: Classifier = IRIS, groups: tuple[int, int] = (0, sys.maxsize)
) -> tuple[bytes, list[dict[str, Any]]]:
    form = parquet.opened(len(data), lambda start, stop: data[start:stop], classifier)
    tally, rejected = streams.Tally(len(classifier.heads[0].classes)), io.BytesIO()
    result = b"".join(streams.result_pieces(form, form.parts(*groups), rejected, tally))
    tally.reconcile()
    return form.opening + result + form.closing, [
        json.loads(line) for line in rejected.getvalue().splitlines()
    ]


def expected(frame: pl.DataFrame) -> pl.DataFrame:
    X = np.ascontiguousarray(frame.select(NAMES).cast(pl.Float64).to_numpy().T)
    [head], [scores] = IRIS.heads, IRIS.predict(Batch.of(IRIS.features, X)).outputs
    return frame.with_columns(
        label=pl.Series(head.classes).gather(scores.labels),
        probability=scores.probabilities.max(axis=0),
        **{f"p_{name}": scores.probabilities[k] for k, name in enumerate(head.classes)},
    )


@pytest.mark.parametrize("compression", ["zstd", "snappy", "uncompressed", "gzip", "lz4"])
@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_a_table_comes_back_with_the_answers_columns(compression: str, rows: int) -> None:
    frame = table(100)
    result, rejected = classified(stored(frame, compression=compression, row_group_size=rows))
    assert rejected == []
    assert_frame_equal(pl.read_parquet(io.BytesIO(result)), expected(frame), check_exact=True)
    (codec,) = {
        chunk.value[3].value[4].value
        for group in footer(len(result), lambda a, b: result[a:b]).groups
        for chunk in group[1].value
    }
    assert codec == {"zstd": 6, "snappy": 1, "uncompressed": 0, "gzip": 2, "lz4": 7}[compression]


def test_columns_keep_their_types_and_the_file_its_notes() -> None:
    frame = table(9).with_columns(
        day=date(2024, 2, 29),
        time=pl.lit(datetime(2024, 1, 1, 12)).cast(pl.Datetime("ms", "Europe/Berlin")),
        money=pl.lit(Decimal("1.50")),
        kind=pl.Series(["a", "b", None] * 3, dtype=pl.Categorical),
        tags=pl.Series([["x"], [], None] * 3),
        nested=pl.struct("id"),
        raw=pl.lit(b"\xff"),
        small=pl.lit(1, pl.UInt8),
        gone=pl.lit(None),
    )
    data = stored(frame, row_group_size=4, metadata={"pandas": "{}", "mine": "é"})
    result, _ = classified(data)
    found = pl.read_parquet(io.BytesIO(result))
    assert_frame_equal(found.drop(ANSWERS), pl.read_parquet(io.BytesIO(data)), check_exact=True)
    assert found.columns == [*frame.columns, *ANSWERS]
    notes = pl.read_parquet_metadata(io.BytesIO(result))
    assert (notes["pandas"], notes["mine"]) == ("{}", "é")


def test_a_row_without_a_number_is_rejected_with_its_number() -> None:
    frame = table(6).with_columns(
        pl.Series(NAMES[0], [1.0, None, float("nan"), float("inf"), 2.0, 3.0]), note=pl.lit(date(2024, 1, 1))
    )
    result, rejected = classified(stored(frame, row_group_size=2))
    assert [(line["line"], line["reason"]) for line in rejected] == [
        (2, "sepal length (cm) is null"),
        (3, "sepal length (cm) is NaN, not a finite number"),
        (4, "sepal length (cm) is too large, not a finite number"),
    ]
    assert json.loads(rejected[0]["record"])["note"] == "2024-01-01"
    kept = frame[[0, 4, 5]]
    assert_frame_equal(pl.read_parquet(io.BytesIO(result)), expected(kept), check_exact=True)


def test_a_rejected_row_is_told_as_it_was_though_json_has_no_such_number() -> None:
    infinite = [math.inf, -math.inf, math.nan]
    frame = table(3).with_columns(
        pl.Series(NAMES[0], infinite), parts=pl.Series([[{"x": value}] for value in infinite])
    )
    _, rejected = classified(stored(frame))
    told = [json.loads(line["record"]) for line in rejected]
    assert [row[NAMES[0]] for row in told] == ["Infinity", "-Infinity", "NaN"]
    assert [row["parts"] for row in told] == [[{"x": "Infinity"}], [{"x": "-Infinity"}], [{"x": "NaN"}]]
    numbers = {"n": [2**63 - 1, -(2**100), 5], "x": [True, 1.5, None]}
    wide = pl.DataFrame(numbers, schema={"n": pl.Int128, "x": pl.Object})
    told = [json.loads(json.loads(parquet._rejection(wide, i, 1, "no"))["record"]) for i in range(3)]
    assert told == [{"n": 2**63 - 1, "x": True}, {"n": str(-(2**100)), "x": 1.5}, {"n": 5, "x": None}]


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Int8, pl.UInt64, pl.Decimal(10, 2)])
def test_any_numeric_column_is_a_feature(dtype: Any) -> None:
    frame = table(20).with_columns(pl.col(NAMES[1]).cast(dtype))
    result, _ = classified(stored(frame))
    assert_frame_equal(pl.read_parquet(io.BytesIO(result)), expected(frame), check_exact=True)


@settings(max_examples=30)
@given(st.integers(0, 60), st.integers(1, 20), st.sets(st.integers(0, 60)), st.data())
def test_row_groups_classified_apart_are_those_of_the_whole(
    n: int, rows: int, bad: set[int], draw: st.DataObject
) -> None:
    frame = table(n).with_columns(
        pl.Series(NAMES[2], [None if i in bad else 1.5 for i in range(n)], pl.Float64)
    )
    data = stored(frame, row_group_size=rows)
    whole, rejected = classified(data)
    count = len(footer(len(data), lambda a, b: data[a:b]).groups)
    cuts = sorted({0, count, *draw.draw(st.sets(st.integers(0, count)))})
    parts = [classified(data, groups=bounds) for bounds in pairwise(cuts)]
    bodies = [body(part) for part, _ in parts]
    assert b"".join(bodies) == body(whole)
    assert [line for _, lines in parts for line in lines] == rejected
    assert [line["line"] for line in rejected] == sorted(i + 1 for i in bad if i < n)


def body(data: bytes) -> bytes:
    length = int.from_bytes(data[-8:-4], "little")
    return data[4 : -8 - length]


def test_a_large_row_group_goes_through_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    data = stored(table(500))
    whole = classified(data)
    monkeypatch.setattr("thimble.tables.parquet.reader.IN_MEMORY", 64)
    assert classified(data) == whole


def test_slices_hold_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thimble.tables.parquet.reader.SLICE_ROWS", 1024)
    frame = table(3000)
    result, _ = classified(stored(frame))
    assert_frame_equal(pl.read_parquet(io.BytesIO(result)), expected(frame), check_exact=True)


@pytest.mark.parametrize("distinct", [2000, 5])
def test_rows_with_long_texts_are_taken_fewer_at_a_time(
    distinct: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little of them is stored: what compresses, and what repeats, takes its room in memory."""
    monkeypatch.setattr(parquet, "SLICE_BYTES", 1 << 20)
    monkeypatch.setattr(parquet, "WHOLE_BYTES", 1 << 20)
    frame = table(2000, note=pl.Series([f"{k % distinct:04d}" * 1000 for k in range(2000)]))
    data = stored(frame)
    assert len(data) < 1 << 18
    form = parquet.opened(len(data), lambda start, stop: data[start:stop], IRIS)
    assert all(part.records * 4000 <= 1 << 20 for part in form.parts())
    assert_frame_equal(pl.read_parquet(io.BytesIO(classified(data)[0])), expected(frame), check_exact=True)


def test_a_model_without_names_takes_the_columns_that_are_no_id() -> None:
    n = UNNAMED.n_features
    frame = pl.DataFrame({"id": [1]} | {f"c{k}": [1.5] for k in range(n)})
    result, _ = classified(stored(frame), UNNAMED)
    assert pl.read_parquet(io.BytesIO(result)).columns[: n + 2] == [*frame.columns, "label"]


def test_a_table_of_no_rows_comes_back_with_the_answers_columns() -> None:
    result, _ = classified(stored(table(5).clear()))
    found = pl.read_parquet(io.BytesIO(result))
    assert (found.height, found.columns) == (0, ["id", *NAMES, *ANSWERS])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not Parquet, or was cut short"),
        (b"id,a\n1,2\n", "not Parquet, or was cut short"),
        (stored(table(3))[:-1], "not Parquet, or was cut short"),
        (stored(table(3))[:-8] + b"\xff\xff\xff\x00PAR1", "the file's footer is broken"),
        (stored(table(3))[:-8] + b"\x09\x00\x00\x00PAR1", "footer"),
        (stored(table(3).drop(NAMES[0])), 'the header lacks "sepal length \\(cm\\)"'),
        (stored(table(3).with_columns(label=1)), 'the file already has "label"'),
        (
            stored(table(3).with_columns(pl.lit("x").alias(NAMES[0]))),
            '"sepal length \\(cm\\)" is a column of String, and the model takes a number there',
        ),
        (
            stored(table(3).with_columns(pl.lit(True).alias(NAMES[0]))),
            "is a column of Boolean, and the model takes a number there",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        classified(data)


def test_broken_pages_refuse_the_file() -> None:
    data = bytearray(stored(table(300), compression="zstd"))
    data[100:400] = bytes(300)
    with pytest.raises(InvalidFile, match="cannot be read"):
        classified(bytes(data))


@given(st.integers(0, 40), st.integers(1, 9))
def test_a_footer_is_written_as_it_was_read(n: int, rows: int) -> None:
    data = stored(table(n, flag=pl.lit(True)), row_group_size=rows)
    length = int.from_bytes(data[-8:-4], "little")
    text = data[-8 - length : -8]
    assert thrift.dumps(thrift.loads(text)) == text
    found = Footer(thrift.loads(text))
    assert found.of(found.groups) == data[-8 - length :]


def test_a_column_that_cannot_be_read_is_left_out_by_name() -> None:
    rows = pa.table(
        {
            "id": [1, 2],
            "much": pa.array([Decimal("1.5"), None], pa.decimal256(50, 2)),
            **{name: [5.1, 6.3] for name in NAMES},
            "nested": pa.array(
                [{"much": [Decimal(1)]}, None], pa.struct([("much", pa.list_(pa.decimal256(60, 0)))])
            ),
            "note": ["a", "b"],
        }
    )
    out = io.BytesIO()
    pq.write_table(rows, out)
    data = out.getvalue()
    form = parquet.opened(len(data), lambda start, stop: data[start:stop], IRIS)
    assert dict(form.left_out).keys() == {"much", "nested"}
    assert dict(form.left_out)["much"] == "it holds decimals of 50 digits, and the most that are read is 38"
    result, rejected = classified(data)
    found = pq.read_table(io.BytesIO(result))
    assert (found.column_names, rejected) == (["id", *NAMES, "note", *ANSWERS], [])
    assert found.column("note").to_pylist() == ["a", "b"]


def test_a_column_that_cannot_be_read_and_that_the_model_needs_refuses_the_file() -> None:
    columns = {name: pa.array([5.1], pa.float64()) for name in NAMES}
    columns[NAMES[2]] = pa.array([Decimal("1.5")], pa.decimal256(50, 2))
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    with pytest.raises(
        InvalidFile, match=r'^"petal length \(cm\)" cannot be read: it holds decimals of 50 digits'
    ):
        classified(out.getvalue())


LABELS = [
    ([-1, 5, 6], pl.Int64, [-1, 5]),
    ([0, 1 << 63, 1], pl.UInt64, [0, 1 << 63]),
    ([-1, 1 << 63, 7], pl.Decimal(38, 0), [Decimal(-1), Decimal(1 << 63)]),
]


@pytest.mark.parametrize(("classes", "dtype", "expected"), LABELS)
def test_integer_labels_of_any_size_are_written(classes: list[int], dtype: Any, expected: list[Any]) -> None:
    raw = json.loads((Path(__file__).parents[1] / "model" / "iris.json").read_bytes()) | {"classes": classes}
    rows = pl.DataFrame([[5.1, 3.5, 1.4, 0.2], [6.0, 2.9, 4.5, 1.5]], NAMES, orient="row")
    result, rejected = classified(stored(rows), load(json.dumps(raw).encode()))
    found = pl.read_parquet(io.BytesIO(result))
    assert (found.schema["label"], found["label"].to_list(), rejected) == (dtype, expected, [])
    assert pq.read_table(io.BytesIO(result)).column("label").to_pylist() == expected
