"""What one row costs a model: its work, counted in multiplications, and the numbers that it holds at once.

Each part of a document says its own cost beside what it computes; what is dearer than the bounds is refused
before it has computed anything. The weights are nanoseconds on one core, in units of a multiplication of a
matrix that no cache holds (0.35 ns).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from thimble.errors import InvalidModel

MAX_MULTIPLICATIONS = 4_000_000  # 10,000 rows, the most of a request, in 14 of its 29 seconds
MAX_NUMBERS = 100_000

COLUMN = 16  # a number that is read or written as it is, or by plain arithmetic
FUNCTION = 64  # a logarithm, or a look-up among categories
CURVE = 256  # a search among points
RANK = 768  # two searches, and the inverse of the normal distribution
OUTPUT = 1_000  # an output of its own: what it costs beside its network


class Cost(NamedTuple):
    multiplications: int = 0
    numbers: int = 0


def elementwise(reads: int, writes: int, each: int = COLUMN) -> Cost:
    """Of a step that reads and writes so many numbers a row."""
    return Cost(each * max(reads, writes), reads + writes)


def product(shapes: Iterable[tuple[int, int]], each: int = FUNCTION) -> Cost:
    """Of layers one after the other, (fan_in, fan_out) each."""
    layers = list(shapes)
    return Cost(
        sum(fan_in * fan_out + each * fan_out for fan_in, fan_out in layers),
        max(fan_in + fan_out for fan_in, fan_out in layers),
    )


def in_turn(parts: Iterable[Cost]) -> Cost:
    """Of parts that run one after the other, each in the memory of the last."""
    found = list(parts)
    return Cost(sum(part.multiplications for part in found), max((part.numbers for part in found), default=0))


def beside(cost: Cost, numbers: int) -> Cost:
    """Of a part that runs while other numbers are kept."""
    return cost._replace(numbers=cost.numbers + numbers)


def check(cost: Cost, path: str) -> None:
    """InvalidModel if a row would cost too much."""
    for found, most, what in (
        (cost.multiplications, MAX_MULTIPLICATIONS, "multiplications"),
        (cost.numbers, MAX_NUMBERS, "numbers at once"),
    ):
        if found > most:
            raise InvalidModel(
                f"{path} costs {found:,} {what} a row; the most is {most:,}: make the model smaller"
            )
