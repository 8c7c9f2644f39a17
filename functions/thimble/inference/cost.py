"""The cost of one row: its work, counted in multiplications, and how many numbers it holds in memory at once.

Each part of a document defines its cost beside its computation. A model whose cost is above the bounds is
refused before it computes anything. The weights are times on one core; their unit is one multiplication in a
product with a matrix that is too large for the cache (0.35 ns).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from thimble.errors import InvalidModel

MAX_MULTIPLICATIONS = 4_000_000  # a request's most rows, 10,000, then take 14 of its 29 seconds
MAX_NUMBERS = 100_000

COLUMN = 16  # a number that is copied, or used in plain arithmetic
FUNCTION = 64  # a logarithm, or a look-up among categories
CURVE = 256  # a search among points
RANK = 768  # two searches, and the inverse of the normal distribution
OUTPUT = 1_000  # an output, without its network


class Cost(NamedTuple):
    multiplications: int = 0
    numbers: int = 0


def elementwise(reads: int, writes: int, each: int = COLUMN) -> Cost:
    """Return the cost of a step that reads and writes so many numbers per row."""
    return Cost(each * max(reads, writes), reads + writes)


def product(shapes: Iterable[tuple[int, int]], each: int = FUNCTION) -> Cost:
    """Return the cost of layers that run one after the other, (fan_in, fan_out) each."""
    layers = list(shapes)
    return Cost(
        sum(fan_in * fan_out + each * fan_out for fan_in, fan_out in layers),
        max(fan_in + fan_out for fan_in, fan_out in layers),
    )


def in_turn(parts: Iterable[Cost]) -> Cost:
    """Return the cost of parts that run one after the other and reuse the same memory."""
    found = list(parts)
    return Cost(sum(part.multiplications for part in found), max((part.numbers for part in found), default=0))


def beside(cost: Cost, numbers: int) -> Cost:
    """Return the cost of a part that runs while so many other numbers are kept."""
    return cost._replace(numbers=cost.numbers + numbers)


def check(cost: Cost, path: str) -> None:
    """Raise InvalidModel if a row would cost too much."""
    for found, most, what in (
        (cost.multiplications, MAX_MULTIPLICATIONS, "multiplications"),
        (cost.numbers, MAX_NUMBERS, "numbers at once"),
    ):
        if found > most:
            raise InvalidModel(
                f"{path} costs {found:,} {what} a row; the most is {most:,}: make the model smaller"
            )
