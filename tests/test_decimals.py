"""Short decimals, read a word each: the bits that Python reads, or nothing."""

import re

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from thimble.tables.decimals import SHAPES, Decimals

SHORT = re.compile(rb"(?!-0$)-?(?=.{1,8}$)(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")  # as JSON has them
TEXTS = st.text(st.sampled_from("0123456789.-+ e/:é"), max_size=10) | st.decimals(-9999, 9999, places=2).map(
    str
)


def read(*cells: bytes) -> list[float | None]:
    data = b"".join(cell + b"," for cell in cells)
    ends = np.cumsum([len(cell) + 1 for cell in cells]) - 1
    starts = ends - [len(cell) for cell in cells]
    values, doubtful = Decimals(data).read(starts, ends)
    return [None if none else value for value, none in zip(values.tolist(), doubtful.tolist(), strict=True)]


@given(st.lists(TEXTS, min_size=1, max_size=SHAPES))
@example(["0", "-0", "-0.0", ".5", "5.", ".", "-", ""])
@example(["1/5", "1:5", "1.5", "..5", "1.2.3", "--5"])
@example(["00", "01", "0.5", "00.5", "01.5", "-01", "0", "1."])
@example(["12345678", "123456789", "-1234567", "1234.567", "12345.678"])
def test_a_cell_has_pythons_bits_or_none(texts: list[str]) -> None:
    for cell, value in zip(texts, read(*(text.encode() for text in texts)), strict=True):
        if value is not None:
            assert SHORT.fullmatch(cell.encode())
            assert np.float64(value).tobytes() == np.float64(float(cell)).tobytes()


@given(st.lists(st.integers(-9_999_999, 9_999_999), min_size=1, max_size=20), st.integers(0, 6))
def test_numbers_with_as_many_decimals_are_all_read(values: list[int], decimals: int) -> None:
    cells = [f"{value / 10**decimals:.{decimals}f}" for value in values]
    short = [cell for cell in cells if len(cell.lstrip("-")) <= 8]
    assert None not in read(*(cell.encode() for cell in short or ["0"]))


def test_a_few_cells_that_are_none_do_not_hide_the_others() -> None:
    cells = [b"x", *([b"1.5"] * 50), b"", *([b"22"] * 50), b"123456789"]
    assert read(*cells) == [None, *([1.5] * 50), None, *([22.0] * 50), None]
