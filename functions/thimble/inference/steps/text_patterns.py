"""Accept only token patterns that take time in proportion to the text, whatever the text is.

A pattern is parsed, not tried. Python matches by backtracking: if something may fail after a repeat, it goes
back through the repeat, and then starts again at the next place. So a repeat without an end is accepted only
if what follows it cannot fail, or between two word boundaries (`\\b\\w\\w+\\b`), where each run of characters
is read a few times at most.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from thimble.errors import InvalidModel

LONGEST = 1_000  # characters of a pattern
MOST_WORK = 1_000  # characters that an attempt may look at before it fails; each look counts
MOST_CHOICES = 100  # ways through the repeats of an attempt that fails
MOST_PATHS = 200  # alternatives, multiplied out
ENDLESS = 1_000  # repetitions; a repeat of more counts as one without an end

CHARACTERS = (ops.LITERAL, ops.NOT_LITERAL, ops.ANY, ops.IN)
REPEATS = (ops.MAX_REPEAT, ops.MIN_REPEAT)
REFUSED = {
    ops.GROUPREF: "a backreference",
    ops.GROUPREF_EXISTS: "a backreference",
    ops.ASSERT: "lookaround",
    ops.ASSERT_NOT: "lookaround",
}
BOUNDARY = (ops.AT, ops.AT_BOUNDARY)

Item = tuple[Any, Any]


class Unsafe(ValueError):
    """Raised if a pattern is not accepted; the message names what the pattern has."""


def compiled(pattern: str, path: str) -> re.Pattern[str]:
    """Return the compiled pattern. Raises InvalidModel if it is not a pattern, or may take long."""
    try:
        require_quick(pattern)
        return re.compile(pattern)
    except Unsafe as error:
        raise InvalidModel(f"{path} has {error}") from None
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        raise InvalidModel(f"{path} is no regular expression: {error}") from None


def require_quick(pattern: str) -> None:
    """Raise Unsafe unless the pattern takes time in proportion to the text, for every text."""
    if len(pattern) > LONGEST:
        raise Unsafe(f"{len(pattern):,} characters, and the most is {LONGEST:,}")
    tree = parser.parse(pattern)
    if tree.state.groups > 2:
        raise Unsafe("more than one group; write (?:...) for those that are not the token")
    work = sum(_choices(path) * (1 + sum(map(_least, path))) for path in _paths(list(tree)))
    if work > MOST_WORK:
        raise Unsafe(f"alternatives that look at {work:,} characters, and the most is {MOST_WORK:,}")


def _paths(items: Sequence[Item]) -> list[list[Item]]:
    """Return each way through the alternatives, with all groups opened. Raises Unsafe if there are too many,
    or for what is never accepted."""
    found: list[list[Item]] = [[]]
    for op, value in items:
        if op in REFUSED:
            raise Unsafe(REFUSED[op])
        if op is ops.SUBPATTERN:
            ways = _paths(list(value[-1]))
        elif op is ops.BRANCH:
            ways = list(chain.from_iterable(_paths(list(branch)) for branch in value[1]))
        elif op in CHARACTERS or op is ops.AT:
            ways = [[(op, value)]]
        elif op in REPEATS:
            ways = [[_repeat(op, *value)]]
        else:
            raise Unsafe(f"a construct that is not read ({str(op).lower()})")
        found = [[*before, *way] for before in found for way in ways]
        if len(found) > MOST_PATHS:
            raise Unsafe(f"more than {MOST_PATHS} ways through its alternatives")
    return found


def _repeat(op: Any, least: int, most: int, body: Any) -> Item:
    """Return a repeat of one character, of a few in a row, or of something optional. Raises Unsafe for any
    other repeat."""
    paths = _paths(list(body))
    simple = all(inner in CHARACTERS for path in paths for inner, _ in path)
    if most > 1 and not (simple and len(paths) == 1 and paths[0]):
        if any(inner in REPEATS for path in paths for inner, _ in path):
            raise Unsafe("a quantifier within a quantifier, which can take hours on some texts")
        raise Unsafe("a repeat of alternatives, or of what may be empty, which can take hours on some texts")
    return op, (int(least), int(most), paths)


def _choices(path: Sequence[Item], after: Sequence[Item] = ()) -> int:
    """Return in how many ways an attempt may go through a path, if `after` comes after it. Raises Unsafe if
    there are too many."""
    choices = 1
    for i, item in enumerate(path):
        if item[0] not in REPEATS:
            continue
        rest = [*path[i + 1 :], *after]
        least, most, inner = item[1]
        ways = most - least + 1
        if most == 1:  # there or not
            ways = (1 - least) + sum(_choices(way, rest) for way in inner)
        if any(map(_may_fail, rest)):
            if ways > ENDLESS and not (_is_word(path, i) and not after):
                raise Unsafe(
                    "a repeat without an end before what may fail, which can take hours on some texts: begin "
                    "with \\b and end with \\b, or end with the repeat"
                )
            choices *= ways if ways <= ENDLESS else 1
        if choices > MOST_CHOICES:
            raise Unsafe(f"more than {MOST_CHOICES} ways through its repeats")
    return choices


def _least(item: Item) -> int:
    """Return the least number of characters that an item has."""
    op, value = item
    if op in REPEATS:
        least, _, paths = value
        return int(least) * max(sum(map(_least, inner)) for inner in paths)
    return int(op in CHARACTERS)


def _may_fail(item: Item) -> bool:
    return item[0] not in REPEATS or item[1][0] > 0


def _is_word(path: Sequence[Item], i: int) -> bool:
    """Return whether a path is single characters and then this repeat, between two word boundaries."""
    before, after = path[:i], path[i + 1 :]
    single = all(op in CHARACTERS for op, _ in before[1:]) and len(path[i][1][2][0]) == 1
    return bool(before) and before[0] == BOUNDARY and single and list(after) == [BOUNDARY]
