"""Parquet: the input as it is, and the answers' columns beside it, row group by row group."""

import io
import json
import math
import sys
import threading
from collections.abc import Callable, Collection
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
from thimble.inference.features import Feature, Schema
from thimble.tables import parquet
from thimble.tables.parquet import chunks as pages
from thimble.tables.parquet import columns, features, reader, thrift
from thimble.tables.parquet.features import Rows
from thimble.tables.parquet.footer import RowGroup, ending, span
from thimble.tables.parquet.footer import read_footer as footer
from thimble.tables.parquet.thrift import I64, structs

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
    return data[: form.prefix] + form.opening + result + form.closing, [
        json.loads(line) for line in rejected.getvalue().splitlines()
    ]


def expected(frame: pl.DataFrame, rejected: Collection[int] = ()) -> pl.DataFrame:
    """The rows with their answers, which are null where a row was rejected."""
    X = np.ascontiguousarray(frame.select(NAMES).cast(pl.Float64).fill_null(1.0).to_numpy().T)
    [head], [scores] = IRIS.heads, IRIS.predict(Batch.of(IRIS.features, X)).outputs
    found = frame.with_columns(
        label=pl.Series(head.classes).gather(scores.labels),
        probability=scores.probabilities.max(axis=0),
        **{f"p_{name}": scores.probabilities[k] for k, name in enumerate(head.classes)},
    )
    good = pl.Series([i not in rejected for i in range(frame.height)], dtype=pl.Boolean)
    return found.with_columns(pl.when(good).then(pl.col(ANSWERS)))


def chunks(data: bytes) -> list[list[Any]]:
    """Of each row group the chunks, as the footer lists them."""
    return [group[RowGroup.COLUMNS] for group in footer(len(data), lambda a, b: data[a:b]).groups]


@pytest.mark.parametrize("compression", ["zstd", "snappy", "uncompressed", "gzip", "lz4"])
@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_a_table_comes_back_with_the_answers_columns(compression: str, rows: int) -> None:
    frame = table(100)
    result, rejected = classified(stored(frame, compression=compression, row_group_size=rows))
    assert rejected == []
    assert_frame_equal(pl.read_parquet(io.BytesIO(result)), expected(frame), check_exact=True)


@pytest.mark.parametrize("index", [True, False])
def test_the_input_comes_back_byte_for_byte_up_to_its_footer(index: bool) -> None:
    out = io.BytesIO()
    rows = table(100).to_arrow()
    pq.write_table(rows, out, row_group_size=30, write_page_index=index)
    data = out.getvalue()
    result, _ = classified(data)
    end = footer(len(data), lambda a, b: data[a:b]).start
    assert result[:end] == data[:end]
    assert [group[: rows.num_columns] for group in chunks(result)] == chunks(data)
    assert all((4 in chunk) is index for group in chunks(result) for chunk in group)  # all have one, or none


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
    assert json.loads(rejected[0]["record"]) == frame.select(NAMES).row(1, named=True)
    found = pl.read_parquet(io.BytesIO(result))
    assert_frame_equal(found, expected(frame, rejected={1, 2, 3}), check_exact=True)


def test_a_row_with_several_faults_is_rejected_for_the_first_feature_s() -> None:
    rng = np.random.default_rng(3)
    bad = {None: "null", math.nan: "NaN, not a finite number", math.inf: "too large, not a finite number"}
    values = rng.choice(np.array([1.0, *bad], object), (200, 4), p=[0.7, 0.1, 0.1, 0.1])
    frame = pl.DataFrame(values.tolist(), dict.fromkeys(NAMES, pl.Float64), orient="row").select(NAMES[::-1])
    _, rejected = classified(stored(frame, row_group_size=70))
    expected = {
        row: next(f"{name} is {bad[value]}" for name, value in zip(NAMES, found, strict=True) if value != 1.0)
        for row, found in enumerate(values.tolist(), 1)
        if any(value != 1.0 for value in found)
    }
    assert {line["line"]: line["reason"] for line in rejected} == expected


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Null])
def test_a_file_of_rejected_rows_alone_comes_back(dtype: Any) -> None:
    frame = table(5).with_columns(pl.lit(None, dtype).alias(NAMES[0]))
    result, rejected = classified(stored(frame, row_group_size=2))
    found = pl.read_parquet(io.BytesIO(result))
    assert [line["reason"] for line in rejected] == [f"{NAMES[0]} is null"] * 5
    assert found.height == 5
    assert found.select(pl.col(ANSWERS).null_count()).row(0) == (5,) * 5
    assert_frame_equal(found.drop(ANSWERS), frame)


def test_a_rejected_row_is_told_as_it_was_though_json_has_no_such_number() -> None:
    frame = table(3).with_columns(pl.Series(NAMES[0], [math.inf, -math.inf, math.nan]))
    _, rejected = classified(stored(frame))
    told = [json.loads(line["record"]) for line in rejected]
    assert [row[NAMES[0]] for row in told] == ["Infinity", "-Infinity", "NaN"]
    wide = pl.DataFrame({"n": [2**63 - 1, -(2**100), None]}, schema={"n": pl.Int128})
    rows = Rows(0, 1, wide)
    lines = features.rejections(rows, dict.fromkeys(range(3), "no"))
    told = [json.loads(json.loads(line)["record"]) for line in lines]
    assert told == [{"n": 2**63 - 1}, {"n": str(-(2**100))}, {"n": None}]


@pytest.mark.parametrize("dtype", [pl.Float16, pl.Float32, pl.Int8, pl.UInt64, pl.Decimal(10, 2)])
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
    count = len(chunks(data))
    cuts = sorted({0, count, *draw.draw(st.sets(st.integers(0, count)))})
    joined = parquet.opened(len(data), lambda start, stop: data[start:stop], IRIS)
    found, lines = data[: joined.prefix], []
    for start, stop in pairwise(cuts):
        part = parquet.opened(len(data), lambda start, stop: data[start:stop], IRIS)
        for piece in part.parts(start, stop):
            found += piece.answered.result
            lines += [json.loads(line) for line in piece.answered.rejected.splitlines()]
        joined.follow(part.trail)
    assert found + joined.closing == whole
    assert lines == rejected
    assert [line["line"] for line in rejected] == sorted(i + 1 for i in bad if i < n)


def test_a_large_row_group_goes_through_files(monkeypatch: pytest.MonkeyPatch) -> None:
    data = stored(table(500))
    whole = classified(data)
    monkeypatch.setattr(features, "IN_MEMORY", 64)
    monkeypatch.setattr(columns, "IN_MEMORY", 64)
    assert classified(data) == whole


@pytest.mark.parametrize("rejected", [{}, {1, 777, 2999}])
def test_slices_blocks_and_pages_hold_all_rows(rejected: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    bad = pl.Series([i in rejected for i in range(3000)])
    frame = table(3000).with_columns(pl.when(~bad).then(pl.col(NAMES[1])).alias(NAMES[1]))
    data = stored(frame)
    monkeypatch.setattr(features, "SLICE_BYTES", 32 << 10)
    monkeypatch.setattr(reader, "BLOCK_ROWS", 700)
    monkeypatch.setattr(pages, "PAGE_ROWS", 512)
    result, lines = classified(data)
    assert [line["line"] - 1 for line in lines] == sorted(rejected)
    assert_frame_equal(pl.read_parquet(io.BytesIO(result)), expected(frame, rejected), check_exact=True)
    assert pq.read_table(io.BytesIO(result)).to_pylist() == expected(frame, rejected).to_dicts()


@pytest.mark.parametrize("distinct", [2000, 5])
def test_rows_with_long_texts_are_decoded_fewer_at_a_time(
    distinct: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little of them is stored: what compresses, and what repeats, takes its room in memory."""
    monkeypatch.setattr(features, "SLICE_BYTES", 1 << 20)
    texts = [f"{k % distinct:04d}" * 1000 for k in range(2000)]
    data = stored(pl.DataFrame({"text": texts, "x": [1.0] * 2000}))
    assert len(data) < 1 << 18
    found = features.find(
        footer(len(data), lambda a, b: data[a:b]), lambda start, stop: data[start:stop], reading_text()
    )
    rows = [rows for slice_ in found.slices() for rows in slice_.rows()]
    assert all(part.frame.height * 4000 <= 1 << 20 for part in rows)
    assert [text for part in rows for text in part.frame["text"]] == texts


def test_the_next_row_groups_are_fetched_while_one_is_answered() -> None:
    data, begun, second = stored(table(400), row_group_size=100), list[int](), threading.Event()

    def read(start: int, stop: int) -> bytes:
        begun.append(start)
        if len(begun) > 1:
            second.set()
        assert second.wait(10)
        return data[start:stop]

    found = features.find(footer(len(data), lambda a, b: data[a:b]), read, IRIS)
    assert [slice_.group for slice_ in found.slices()] == [0, 1, 2, 3]


@pytest.mark.parametrize(("at_once", "loads"), [(1, 4), (2, 2), (4, 1)])
def test_row_groups_that_fit_in_memory_together_are_one_load(
    at_once: int, loads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "SLICE_BYTES", at_once * 100 * 4 * 8)
    data = stored(table(400), row_group_size=100)
    found = features.find(
        footer(len(data), lambda a, b: data[a:b]), lambda start, stop: data[start:stop], IRIS
    )
    assert len({slice_.load for slice_ in found.slices()}) == loads


def test_a_load_is_answered_before_the_next_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "SLICE_BYTES", 2 * 100 * 4 * 8)
    monkeypatch.setattr(reader, "BLOCK_ROWS", 10)
    log, decoded, block = list[str](), features.Features._decoded, reader.Parquet._block

    def decode(self: Any, file: Any, at: int, height: int, first: int) -> pl.DataFrame:
        log.append(f"decode {(first - 1) // 100}")
        return decoded(self, file, at, height, first)

    def answer(self: Any, rows: Rows) -> Any:
        found = block(self, rows)
        log.append(f"answer {rows.group}")
        return found

    monkeypatch.setattr(features.Features, "_decoded", decode)
    monkeypatch.setattr(reader.Parquet, "_block", answer)
    data = stored(table(400), row_group_size=100)
    form = parquet.opened(len(data), lambda start, stop: data[start:stop], IRIS)
    assert sum(part.records for part in form.parts(workers=3)) == 400
    assert not {"answer 0", "answer 1"} & {*log[log.index("decode 2") :]}
    assert log.count("answer 3") == 10


@pytest.mark.parametrize("workers", [1, 2])
def test_a_broken_row_group_leaves_nothing_running(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "IN_MEMORY", 0)
    monkeypatch.setattr(features, "SLICE_BYTES", 100 * 4 * 8)
    data = bytearray(stored(table(1000), row_group_size=100, compression="uncompressed"))
    [chunk, *_] = footer(len(data), lambda a, b: bytes(data[a:b])).groups[2][RowGroup.COLUMNS][1:]
    start, stop = span(chunk)
    data[start:stop] = bytes(stop - start)
    form = parquet.opened(len(data), lambda start, stop: bytes(data[start:stop]), IRIS)
    before = threading.active_count()
    with pytest.raises(InvalidFile, match="the rows from 201 on") as raised:
        [*form.parts(workers=workers)]
    assert threading.active_count() == before
    assert raised.value.__traceback__ is not None  # though the frames are still held


@pytest.mark.parametrize("ranges", [[0, 4], [0, 1, 2, 3, 4], [0, 3, 4]])
def test_what_is_read_of_all_ranges_is_the_file(ranges: list[int]) -> None:
    data, read = stored(table(397), row_group_size=100), list[int]()
    form = parquet.opened(len(data), lambda start, stop: data[start:stop], IRIS, read.append)
    for start, stop in pairwise(ranges):
        assert [*form.parts(start, stop)]
    assert sum(read) == len(data)


def reading_text() -> Classifier:
    """A model that reads one column of texts and one of numbers."""
    schema = Schema.of([Feature("text", "text", False), Feature("x", "number", False)], [])
    return IRIS._replace(document=IRIS.document._replace(schema=schema))


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
    start, stop = span(chunks(bytes(data))[0][2])
    data[start:stop] = bytes(stop - start)
    with pytest.raises(InvalidFile, match="cannot be read"):
        classified(bytes(data))


@given(st.integers(0, 40), st.integers(1, 9))
def test_a_footer_is_written_as_it_was_read(n: int, rows: int) -> None:
    data = stored(table(n, flag=pl.lit(True)), row_group_size=rows)
    length = int.from_bytes(data[-8:-4], "little")
    text = data[-8 - length : -8]
    assert thrift.dumps(thrift.loads(text)) == text
    assert ending(footer(len(data), lambda a, b: data[a:b]).struct) == data[-8 - length :]


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


def test_only_the_columns_that_the_model_reads_are_fetched() -> None:
    """Of a wide table, and of one whose answers lie behind all of the input."""
    rng = np.random.default_rng(5)
    wide = table(5000).with_columns(**{f"column {k}": rng.uniform(size=5000) for k in range(300)})
    data = stored(wide, row_group_size=1000)
    again = renamed(classified(data)[0])
    for file in (data, again):
        looked = 0

        def read(start: int, stop: int, file: bytes = file) -> bytes:
            nonlocal looked
            looked += stop - start
            return file[start:stop]

        form = parquet.opened(len(file), read, IRIS)
        opening, looked = looked, 0
        assert sum(part.records for part in form.parts()) == 5000
        wanted = {name.encode() for name in NAMES}
        columns = [c for group in chunks(file) for c in group if c[3][3][0] in wanted]
        assert looked == sum(stop - start for start, stop in map(span, columns)) < len(file) / 50
        assert opening <= len(file) - footer(len(file), lambda a, b: file[a:b]).start + (64 << 10)  # noqa: B023


def renamed(data: bytes) -> bytes:
    """A result whose answers are called otherwise."""
    found = footer(len(data), lambda a, b: data[a:b])
    elements = [
        element | {4: b"former " + element[4]} if element[4].decode() in ANSWERS else element
        for element in found.struct[2]
    ]
    notes = [note for key, note in found.notes.items() if key != b"ARROW:schema"]
    return data[: found.start] + ending(found.struct | {2: structs(elements), 5: structs(notes)})


def test_a_result_is_classified_again() -> None:
    frame = table(50).with_columns(pl.Series(NAMES[0], [None if k == 7 else k / 9 for k in range(50)]))
    once, rejected = classified(stored(frame, row_group_size=20))
    again, same = classified(renamed(once))
    found = pl.read_parquet(io.BytesIO(again))
    assert rejected == same
    former = found.select(pl.col("^former .*$").name.map(lambda name: name.removeprefix("former ")))
    assert_frame_equal(former, found.select(ANSWERS))
    assert_frame_equal(found.select(frame.columns + ANSWERS), expected(frame, {7}), check_exact=True)
    with pytest.raises(InvalidFile, match='the file already has "label"'):
        classified(once)


def test_row_groups_without_rows_change_nothing() -> None:
    out, frame = io.BytesIO(), table(30)
    rows = frame.to_arrow()
    with pq.ParquetWriter(out, rows.schema) as writer:
        for part in (rows[:0], rows[:10], rows[:0], rows[:0], rows[10:], rows[:0]):
            writer.write_table(part)
    result, _ = classified(out.getvalue())
    assert pq.ParquetFile(io.BytesIO(out.getvalue())).metadata.num_row_groups == 6
    assert_frame_equal(pl.read_parquet(io.BytesIO(result)), expected(frame), check_exact=True)
    assert pq.read_table(io.BytesIO(result)).num_rows == 30


def test_many_row_groups_come_back() -> None:
    frame = table(700)
    result, _ = classified(stored(frame, row_group_size=1))
    assert len(chunks(result)) == 700
    assert_frame_equal(pl.read_parquet(io.BytesIO(result)), expected(frame), check_exact=True)


def test_columns_that_nobody_reads_are_the_input_s_own() -> None:
    """Of types that polars does not read, of names that occur twice, and in bytes that are broken."""
    much = pa.array([Decimal("1.5"), None], pa.decimal256(50, 2))
    found = [*(pa.array([5.1, 6.3]) for _ in NAMES), much, much, pa.array(["a", "b"])]
    rows = pa.Table.from_arrays(found, [*NAMES, "x", "x", "broken"])
    out = io.BytesIO()
    pq.write_table(rows, out)
    data = bytearray(out.getvalue())
    start, stop = span(chunks(bytes(data))[0][6])
    data[start:stop] = bytes(stop - start)
    result, rejected = classified(bytes(data))
    file = pq.ParquetFile(io.BytesIO(result))
    assert (file.schema_arrow.names, rejected) == ([*rows.column_names, *ANSWERS], [])
    assert file.read(["x"]).columns == rows.columns[4:6]
    assert file.read(["label"])["label"].null_count == 0


def with_footer(change: Callable[[dict[int, Any]], None]) -> bytes:
    data = stored(table(3))
    found = footer(len(data), lambda a, b: data[a:b])
    change(found.struct)
    return data[: found.start] + ending(found.struct)


def first_chunk(struct: dict[int, Any]) -> dict[int, Any]:
    found: dict[int, Any] = struct[4][0][1][0]
    return found


REFUSED: dict[str, tuple[bytes, str]] = {
    "an encrypted footer": (stored(table(3))[:-4] + b"PARE", "the file is encrypted: send it decrypted"),
    "encrypted, with a plain footer": (
        with_footer(lambda struct: struct.update({8: structs([])})),
        "the file is encrypted: send it decrypted",
    ),
    "an encrypted column": (
        with_footer(lambda struct: first_chunk(struct).update({8: structs([])})),
        "the file is encrypted: send it decrypted",
    ),
    "columns in other files": (
        with_footer(lambda struct: first_chunk(struct).update({1: b"part-0.parquet"})),
        "the file has its columns in other files: send these",
    ),
    "a large footer": (
        with_footer(lambda struct: struct.update({6: b"x" * (17 << 20)})),
        "the file's footer is too large: it has 17,8",
    ),
    "a large row group": (
        with_footer(lambda struct: struct[4][0].update({3: I64(1 << 27)})),
        "the file has a row group of 134,217,728 rows, and the most that are read are 67,108,864: write",
    ),
    "a schema of Arrow's that is none": (
        stored(table(3), metadata={"ARROW:schema": "AAAA"}),
        "the file's footer is broken",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_passed_through_is_refused_with_a_reason(kind: str) -> None:
    data, sentence = REFUSED[kind]
    with pytest.raises(InvalidFile) as refused:
        classified(data)
    assert str(refused.value).startswith(sentence)


SPARK = b"org.apache.spark.sql.parquet.row.metadata"


def noted(notes: dict[bytes, bytes], classifier: Classifier = IRIS) -> dict[bytes, bytes]:
    """What a result notes of a file that notes this."""
    rows, out = table(3).select(NAMES).to_arrow(), io.BytesIO()
    with pq.ParquetWriter(out, rows.schema, store_schema=False) as writer:
        writer.write_table(rows)
        writer.add_key_value_metadata(notes)
    result = classified(out.getvalue(), classifier)[0]
    found: dict[bytes, bytes] = pq.ParquetFile(io.BytesIO(result)).metadata.metadata
    return found


def test_spark_and_avro_see_the_answers() -> None:
    spark = {"type": "struct", "fields": [{"name": "x", "type": "double", "nullable": True, "metadata": {}}]}
    avro = {"type": "record", "name": "row", "fields": [{"name": "x", "type": "double"}]}
    notes = {SPARK: json.dumps(spark).encode(), b"parquet.avro.schema": json.dumps(avro).encode()}
    found = noted(notes | {b"mine": b"{}"})
    fields = json.loads(found[SPARK])["fields"]
    assert [field["name"] for field in fields] == ["x", *ANSWERS]
    assert [field["type"] for field in fields] == ["double", "string", *["double"] * 4]
    fields = json.loads(found[b"parquet.avro.schema"])["fields"]
    assert fields[1] == {"name": "label", "type": ["null", "string"], "default": None}
    assert [field["name"] for field in fields] == ["x", *ANSWERS]
    assert found[b"mine"] == b"{}"


def test_a_note_that_cannot_be_extended_stays() -> None:
    """One that is not as its tool writes it; and Avro's, which cannot name all columns."""
    for note in (b"{}", b"[]", b"\xff", b'{"fields": 7, "columns": null}'):
        assert noted({b"pandas": note, SPARK: note}) == {b"pandas": note, SPARK: note}
    avro = json.dumps({"type": "record", "name": "row", "fields": []}).encode()
    raw = json.loads((Path(__file__).parents[1] / "model" / "iris.json").read_bytes())
    spaced = load(json.dumps(raw | {"classes": ["Iris setosa", "b", "c"]}).encode())
    assert noted({b"avro.schema": avro}, spaced) == {b"avro.schema": avro}


def test_who_wrote_the_file_stays_said() -> None:
    out = io.BytesIO()
    pq.write_table(table(3).to_arrow(), out)
    before = pq.ParquetFile(out).metadata
    after = pq.ParquetFile(io.BytesIO(classified(out.getvalue())[0])).metadata
    assert after.created_by == before.created_by
    statistics = after.row_group(0).column(6).statistics
    assert (statistics.null_count, statistics.min > 0, statistics.max <= 1) == (0, True, True)
