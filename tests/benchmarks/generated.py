"""Tables to classify, of any size, the same in every run: 4 columns like iris, 64 like digits, and an id."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

ROWS = 100_000  # made at a time
BAD = 100  # one row in so many


@dataclass(frozen=True)
class Table:
    """Columns of numbers, evenly spread between the columns' bounds."""

    model: str
    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    decimals: int

    def frames(self) -> Iterator[pl.DataFrame]:
        """Without end."""
        rng = np.random.default_rng(0)
        at = 0
        while True:
            values = np.round(rng.uniform(self.low, self.high, (ROWS, len(self.names))), self.decimals)
            columns = dict(zip(self.names, np.ascontiguousarray(values.T), strict=True))
            yield pl.DataFrame({"id": np.arange(at, at + ROWS), **columns})
            at += ROWS


IRIS = Table(
    "iris",
    ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"),
    low=(4.3, 2.0, 1.0, 0.1),
    high=(7.9, 4.4, 6.9, 2.5),
    decimals=1,
)
DIGITS = Table(
    "digits",
    tuple(f"pixel_{k // 8}_{k % 8}" for k in range(64)),
    low=(0.0,) * 64,
    high=(16.0,) * 64,
    decimals=0,
)


def write(path: Path, table: Table, size: int, bad: bool) -> None:
    """About `size` bytes of CSV or JSON Lines; as Parquet the rows that make so many bytes of CSV."""
    {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}[path.suffix](path, table, size, bad)


def _csv(path: Path, table: Table, size: int, bad: bool) -> None:
    header = ",".join(["id", *table.names]) + "\n"
    spoil = (lambda line: line.rpartition(",")[0], lambda line: line + "x")
    _lines(path, header, map(_csv_lines, table.frames()), size, spoil if bad else None)


def _csv_lines(frame: pl.DataFrame) -> str:
    return frame.write_csv(include_header=False)


def _jsonl(path: Path, table: Table, size: int, bad: bool) -> None:
    spoil = (lambda line: line[:-1], lambda line: line.rpartition(":")[0] + ':"x"}')
    lines = (frame.write_ndjson() for frame in table.frames())
    _lines(path, "", lines, size, spoil if bad else None)


Spoil = tuple[Callable[[str], str], Callable[[str], str]]


def _lines(path: Path, header: str, texts: Iterator[str], size: int, spoil: Spoil | None) -> None:
    with open(path, "w") as file:
        file.write(header)
        while file.tell() < size:
            text = next(texts)
            file.write(text if spoil is None else _spoiled(text, spoil))


def _spoiled(text: str, spoil: Spoil) -> str:
    lines = text.split("\n")[:-1]
    for k in range(0, len(lines), BAD):
        lines[k] = spoil[k // BAD % 2](lines[k])
    return "\n".join([*lines, ""])


def _parquet(path: Path, table: Table, size: int, bad: bool) -> None:
    frames = []
    for frame in table.frames():
        if bad:
            spoilt = pl.int_range(pl.len()) % BAD == 0
            frame = frame.with_columns(pl.when(~spoilt).then(pl.col(table.names[0])).alias(table.names[0]))
        frames.append(frame)
        size -= len(_csv_lines(frame))
        if size <= 0:
            break
    pl.concat(frames).write_parquet(path, compression="snappy")  # as pandas has it
