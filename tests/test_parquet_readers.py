"""Parquet results by other readers: the input's values and types are its own, and the answers are there."""

import io
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import datafusion
import duckdb
import fastparquet
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from tests.test_parquet import ANSWERS, IRIS, NAMES, classified
from thimble.inference.batch import Batch
from thimble.tables.answers import answers

ROWS, GROUP = 40, 17
BAD = {3, 38}  # rows without a number


def numbers() -> dict[str, list[float | None]]:
    rng = np.random.default_rng(7)
    found: dict[str, list[float | None]] = {name: rng.uniform(0.1, 7, ROWS).tolist() for name in NAMES}
    found[NAMES[1]] = [None if k in BAD else value for k, value in enumerate(found[NAMES[1]])]
    return found


def common() -> dict[str, list[Any]]:
    """Columns that every writer can write."""
    return {
        "id": list(range(ROWS)),
        "kind": [None if k % 7 == 0 else "abc"[k % 3] for k in range(ROWS)],
        "when": [datetime(2024, 2, 29, 12) + timedelta(minutes=k) for k in range(ROWS)],
        "flag": [k % 3 == 0 for k in range(ROWS)],
    }


def every_type() -> pa.Table:
    def some(values: list[Any], type_: pa.DataType) -> pa.Array:
        return pa.array([values[k % len(values)] for k in range(ROWS)], type_)

    point = pa.struct([("x", pa.int16()), ("tags", pa.list_(pa.string()))])
    columns = {
        "half": some([1.5, None], pa.float16()),
        "single": some([0.1, -0.0, None], pa.float32()),
        "money": some([Decimal("1.50"), None], pa.decimal128(12, 2)),
        "much": some([Decimal("1.5"), None], pa.decimal256(50, 2)),
        "day": some([date(2024, 2, 29), None], pa.date32()),
        "at": some([time(12, 30), None], pa.time32("ms")),
        "exactly": some([time(12, 30, 0, 7), None], pa.time64("us")),
        "zoned": some([datetime(2024, 1, 1), None], pa.timestamp("us", "Europe/Berlin")),
        "nanos": some([1, None], pa.timestamp("ns")),
        "took": some([5, None], pa.duration("ms")),
        "kind": some(["a", "b", None], pa.dictionary(pa.int8(), pa.string())),
        "raw": some([b"\xff", b"", None], pa.binary()),
        "fixed": some([b"abcd", None], pa.binary(4)),
        "long": some(["x", None], pa.large_string()),
        "tags": some([["x", None], [], None], pa.list_(pa.string())),
        "point": some([{"x": 1, "tags": ["a"]}, None], point),
        "points": some([[{"x": 1, "tags": None}, None], []], pa.list_(point)),
        "map": some([[("a", 1)], [], None], pa.map_(pa.string(), pa.int32())),
        "small": some([255, None], pa.uint8()),
        "nothing": pa.nulls(ROWS),
    }
    return pa.table({"id": range(ROWS), **numbers(), **columns})


def by_pyarrow(_: Path, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(every_type(), out, row_group_size=GROUP, **options)
    return out.getvalue()


def by_pandas(_: Path) -> bytes:
    """With an index that has a name, a column of categories and one of zones."""
    frame = pd.DataFrame(numbers() | common()).astype({"kind": "category"})
    frame["zoned"] = frame["when"].dt.tz_localize("Europe/Berlin")
    out = io.BytesIO()
    frame.set_index("id").to_parquet(out, row_group_size=GROUP)
    return out.getvalue()


def by_polars(_: Path, **options: Any) -> bytes:
    frame = pl.DataFrame(numbers() | common()).with_columns(
        pl.col("kind").cast(pl.Categorical).alias("category"), pl.struct("id", "kind").alias("both")
    )
    out = io.BytesIO()
    frame.write_parquet(out, row_group_size=GROUP, **options)
    return out.getvalue()


def by_duckdb(tmp_path: Path, codec: str) -> bytes:
    rows = pa.table(numbers() | common())  # noqa: F841 - which DuckDB reads
    path = tmp_path / "duckdb.parquet"
    duckdb.sql(f"COPY rows TO '{path}' (FORMAT parquet, CODEC '{codec}', ROW_GROUP_SIZE 2048)")
    return path.read_bytes()


def by_fastparquet(tmp_path: Path, codec: str | None) -> bytes:
    frame = pd.DataFrame(numbers() | common())
    frame["kind"] = frame["kind"].astype(object)
    path = tmp_path / "fast.parquet"
    fastparquet.write(str(path), frame, compression=codec, row_group_offsets=GROUP)
    return path.read_bytes()


def arrow(path: Path) -> pa.Table:
    return pq.read_table(path)


def in_polars(path: Path) -> pa.Table:
    """But for decimals of more digits than it knows."""
    names = [field.name for field in pq.read_schema(path) if not pa.types.is_decimal256(field.type)]
    return pl.read_parquet(path, columns=names).to_arrow()


def in_duckdb(path: Path) -> pa.Table:
    return duckdb.read_parquet(str(path)).to_arrow_table()


def in_datafusion(path: Path) -> pa.Table:
    return datafusion.SessionContext().read_parquet(path).to_arrow_table()


def in_pandas(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path)


def in_fastparquet(path: Path) -> pd.DataFrame:
    """But for the columns that it does not read from any file."""
    wanted = {*NAMES, *ANSWERS, "id", "kind", "when", "flag", "small", "single"}
    file = fastparquet.ParquetFile(str(path))
    found: pd.DataFrame = file.to_pandas([name for name in file.columns if name in wanted])
    return found


READERS: tuple[Callable[[Path], Any], ...] = (
    *(arrow, in_polars, in_duckdb, in_datafusion),
    *(in_pandas, in_fastparquet),
)
CODECS = ("none", "snappy", "gzip", "brotli", "zstd", "lz4")
Written = Callable[[Path], bytes]
WRITERS: dict[str, Written] = {
    **{f"pyarrow {codec}": partial(by_pyarrow, compression=codec) for codec in CODECS},
    "pyarrow, pages of version 2, with indexes": partial(
        by_pyarrow, data_page_version="2.0", write_page_index=True, data_page_size=64
    ),
    "pyarrow, without its schema": partial(by_pyarrow, store_schema=False),
    "pandas": by_pandas,
    "polars uncompressed": partial(by_polars, compression="uncompressed"),
    **{f"polars {codec}": partial(by_polars, compression=codec) for codec in CODECS[1:]},
    "DuckDB uncompressed": partial(by_duckdb, codec="uncompressed"),
    "DuckDB lz4_raw": partial(by_duckdb, codec="lz4_raw"),
    **{f"DuckDB {codec}": partial(by_duckdb, codec=codec) for codec in CODECS[1:5]},
    "fastparquet uncompressed": partial(by_fastparquet, codec=None),
    **{f"fastparquet {codec}": partial(by_fastparquet, codec=codec) for codec in CODECS[1:5]},
}


def expected() -> list[dict[str, Any]]:
    """The answers' columns, a row each."""
    columns = [np.array(values, np.float64) for values in numbers().values()]
    batch = Batch.of(IRIS.features, np.nan_to_num(np.stack(columns)))
    found = answers(IRIS, IRIS.predict(batch))
    rows = [
        {"label": answer["label"], "probability": answer["probability"]}
        | {f"p_{name}": p for name, p in answer["probabilities"].items()}
        for answer in found
    ]
    return [dict.fromkeys(ANSWERS) if k in BAD else row for k, row in enumerate(rows)]


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # fastparquet leaves files open
@pytest.mark.parametrize("writer", WRITERS)
def test_every_reader_finds_the_input_as_it_was_and_the_answers(writer: str, tmp_path: Path) -> None:
    data = WRITERS[writer](tmp_path)
    result, rejected = classified(data)
    assert [line["line"] - 1 for line in rejected] == sorted(BAD)
    before, after = tmp_path / "before.parquet", tmp_path / "after.parquet"
    before.write_bytes(data)
    after.write_bytes(result)
    for read in READERS:
        was, found = read(before), read(after)
        if isinstance(found, pd.DataFrame):
            assert_frame_equal(found.drop(columns=ANSWERS), was)
            rows = found[ANSWERS].astype(object).where(found[ANSWERS].notna(), None).to_dict("records")
        else:
            assert found.drop_columns(ANSWERS).schema == was.schema, read
            assert found.drop_columns(ANSWERS).equals(was), read
            rows = found.select(ANSWERS).to_pylist()
        assert rows == expected(), read


def test_a_reader_of_page_indexes_finds_the_rows_that_it_looks_for(tmp_path: Path) -> None:
    path = tmp_path / "indexed.parquet"
    path.write_bytes(classified(by_pyarrow(tmp_path, write_page_index=True, data_page_size=64))[0])
    context = datafusion.SessionContext()
    context.register_parquet("rows", path)
    query = "SELECT id FROM rows WHERE {} ORDER BY id"
    for condition, wanted in (
        ("probability IS NULL", BAD),
        ("id = 20", {20}),
        ("label = 'setosa' AND id < 30", {k for k in range(30) if expected()[k]["label"] == "setosa"}),
    ):
        assert set(context.sql(query.format(condition)).to_arrow_table()["id"].to_pylist()) == wanted
    assert context.sql("SELECT count(*) AS n FROM rows").to_arrow_table()["n"].to_pylist() == [ROWS]


def test_filters_that_a_writer_left_are_found_where_they_were(tmp_path: Path) -> None:
    """DuckDB writes bloom filters, of columns of few values, and asks them."""
    path = tmp_path / "filtered.parquet"
    rows = pa.table({name: [5.1, 6.3] * 3000 for name in NAMES} | {"n": [k % 100 * 7 for k in range(6000)]})
    duckdb.from_arrow(rows).write_parquet(str(path), row_group_size=2048)
    asked = "SELECT bloom_filter_excludes FROM parquet_bloom_probe('{}', 'n', {})"
    probed = [duckdb.execute(asked.format(path, value)).fetchall() for value in (1, 7, 10**6)]
    assert [(True,)] * 3 in probed
    path.write_bytes(classified(path.read_bytes())[0])
    assert [duckdb.execute(asked.format(path, value)).fetchall() for value in (1, 7, 10**6)] == probed
