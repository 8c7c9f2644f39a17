"""The program of steps that an export builds, and the facts about its columns. Columns are only ever added.

The program keeps three facts: the type of each feature, the features whose missing values would still be
missing in a column, and the columns that may be missing for another reason. They decide where a missing value
is allowed; everywhere else, rows with one are rejected, as scikit-learn would do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from thimble_model.unsupported import Unsupported

Code = float | None  # None if the encoder refuses the value
TEXTS = ("text", "free_text")  # the types of features that are texts


@dataclass(frozen=True)
class Others:
    """Every text except these."""

    than: frozenset[str]


@dataclass(frozen=True)
class Column:
    """A column of the program, or a text before it is encoded, with the replacements by imputers."""

    index: int
    replaced: tuple[tuple[str | Others | None, str], ...] = ()
    sparse: bool = False  # whether scikit-learn has it in a sparse matrix

    def seen(self, text: str | None) -> str | None:
        """Return the text that an encoder sees if the feature has this text; None stands for missing."""
        for before, after in self.replaced:
            others = isinstance(before, Others) and text is not None and text not in before.than
            if others or text == before:
                text = after
        return text

    def replacing(self, before: str | Others | None, after: str) -> Column:
        return Column(self.index, (*self.replaced, (before, after)))

    @property
    def told_apart(self) -> list[str | None]:
        """The texts that the replacements name; None is among them if missing values are replaced."""
        named = [
            sorted(before.than) if isinstance(before, Others) else [before] for before, _ in self.replaced
        ]
        return list(dict.fromkeys(text for texts in named for text in texts))


@dataclass(frozen=True)
class Step:
    op: str
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    keys: dict[str, Any]
    foldable: bool = False

    @property
    def rejects(self) -> bool:
        """Whether the step may reject a row, and so matters even if nothing reads its columns."""
        return self.op == "require" or (self.op == "encode" and "unknown" not in self.keys)


@dataclass
class Program:
    names: list[str]  # the features' names, for people
    types: list[str | None]  # the features' types; None until a step has told
    sparse: bool = False  # whether the rows are a sparse matrix
    dates: dict[int, str] = field(default_factory=dict)  # features of dates: how pandas reads them
    steps: list[Step] = field(default_factory=list)
    width: int = 0
    forbidden: set[int] = field(default_factory=set)  # features that may not be missing
    missing: dict[int, frozenset[int]] = field(default_factory=dict)  # column: features it is missing with
    doubtful: set[int] = field(default_factory=set)  # columns that may be missing though no feature is
    single: set[int] = field(default_factory=set)  # columns that are computed in single precision

    read: set[int] = field(default_factory=set)  # the features that steps have looked at
    answered: dict[int, tuple[Any, dict[str, list[int]]]] = field(default_factory=dict)  # members' answers
    begun: dict[int, tuple[Any, Any]] = field(default_factory=dict)  # members whose first layer is a step
    nulls: dict[int, Any] = field(default_factory=dict)  # features: their missing value if it is not NaN

    def __post_init__(self) -> None:
        self.width = len(self.names)
        self.missing = {i: frozenset([i]) for i in range(self.width)}

    def features(self) -> list[Column]:
        return [Column(i, sparse=self.sparse) for i in range(len(self.names))]

    def is_feature(self, column: Column) -> bool:
        return column.index < len(self.types)

    def is_text(self, column: Column) -> bool:
        return self.is_feature(column) and self.types[column.index] in TEXTS

    def settle(self, column: Column, type_: str) -> None:
        """Record the type that a step gives a feature, unless the data already told it.

        Raises Unsupported if one is a text and the other is not.
        """
        i = column.index
        if i < len(self.types):
            self.read.add(i)
            self.types[i] = self.types[i] or type_
            if (self.types[i] in TEXTS) != (type_ in TEXTS):
                raise Unsupported(
                    f"{self.describe(column)} is of {_plain(self.types[i])}, and read as {_plain(type_)}"
                )

    def read_text(self, column: Column) -> None:
        """Record that a step reads the words of a feature: it is free text and never missing."""
        self.settle(column, "free_text")
        if not self.is_text(column) or column.replaced:
            raise Unsupported(f"{self.describe(column)} is no text as it comes; a vectorizer reads that")
        self.types[column.index] = "free_text"
        self.forbidden.add(column.index)

    def settle_null(self, column: Column, null: Any) -> None:
        """Record what a missing value of a feature is to a step, such as None."""
        if column.index < len(self.types) and not isinstance(null, float):
            self.nulls[column.index] = null

    def numbers(self, columns: Sequence[Column]) -> list[int]:
        for column in columns:
            self.settle(column, "number")
        return [column.index for column in columns]

    def may_be_missing(self, column: Column) -> bool:
        if self.is_text(column):
            return column.seen(None) is None
        return bool(self.missing[column.index]) or column.index in self.doubtful

    def forbid_missing(self, columns: Iterable[Column]) -> None:
        """Forbid missing values in the features that these columns are missing with."""
        for column in columns:
            if self.is_text(column):
                if column.seen(None) is None:
                    self.forbidden.add(column.index)
            else:
                self.forbidden |= self.missing[column.index]

    def refuse_missing(self, columns: Sequence[Column]) -> None:
        """Reject rows with a missing value in these columns, wherever it comes from."""
        self.forbid_missing(columns)
        doubtful = sorted({column.index for column in columns} & self.doubtful)
        if doubtful:
            self.steps.append(Step("require", tuple(doubtful), (), {}))
            self.doubtful -= set(doubtful)

    def add(
        self,
        op: str,
        columns: Sequence[int],
        width: int | None = None,
        keeps_missing: bool = True,
        foldable: bool = False,
        **keys: Any,
    ) -> list[Column]:
        """Append a step and return its columns.

        Without a width, it has a column for each that it reads, and if `keeps_missing`, a column is missing
        where the one that it reads is.
        """
        if not columns and op != "constant":
            return []
        if op in OF_TRAINING:
            columns, keys = self._without_empty(columns, keys)
        writes = tuple(range(self.width, self.width + (len(columns) if width is None else width)))
        plain = {key: _listed(value, op) for key, value in keys.items() if value is not None}
        self.steps.append(Step(op, tuple(columns), writes, plain, foldable))
        self.width += len(writes)
        for i, index in enumerate(writes):
            kept = keeps_missing and width is None
            self.missing[index] = self.missing[columns[i]] if kept else frozenset()
            if kept and columns[i] in self.doubtful:
                self.doubtful.add(index)
        return [Column(index) for index in writes]

    def _without_empty(
        self, columns: Sequence[int], keys: dict[str, Any]
    ) -> tuple[Sequence[int], dict[str, Any]]:
        """Replace columns that had no value in training by columns that are always missing.

        Such columns have NaN in the step's arrays, in place of the numbers to compute with.
        """
        arrays = {key: np.isnan(value) for key, value in keys.items() if isinstance(value, np.ndarray)}
        empty = {int(i) for absent in arrays.values() for i in np.argwhere(absent)[:, 0]}
        if not empty:
            return columns, keys
        nowhere = [self._always_missing(index) if i in empty else index for i, index in enumerate(columns)]
        return nowhere, keys | {key: np.where(absent, 1.0, keys[key]) for key, absent in arrays.items()}

    def _always_missing(self, index: int) -> int:
        (made,) = self.add("encode", [index], categories=[0.0], codes=[None])
        self.steps[-1].keys["unknown"] = None
        self.doubtful.add(made.index)
        return made.index

    def encode(
        self,
        column: Column,
        categories: Sequence[Any],
        ask: Callable[[list[Any]], list[Code]],
        null: Any,
        odd: Any,
    ) -> Column:
        """Encode a column by a table of codes.

        `ask` gives the encoder's own codes for its categories, for a missing value (`null`) and for an
        unknown one (`odd`).
        """
        text = self.is_text(column)
        self.settle_null(column, null)
        known = [category for category in categories if not is_null(category)]
        if text:
            known = [category for category in known if column.seen(category) == category]
            known += [text for text in column.told_apart if text is not None and text not in set(known)]
        values: list[Any] = known if text else [float(category) for category in known]
        table = dict(zip(values, ask([column.seen(v) for v in values] if text else values), strict=True))
        if self.may_be_missing(column):
            table[None] = ask([null])[0]
        elif column.replaced:
            table[None] = ask([column.seen(None)])[0]
        if None in table and table[None] is None:
            self.refuse_missing([Column(column.index)])
        return self.tabled(
            column,
            {v: code for v, code in table.items() if code is not None},
            ask([column.seen(odd) if text else odd])[0],
        )

    def tabled(self, column: Column, table: dict[Any, float], unknown: Code) -> Column:
        """Append a step `encode`. Codes that count up from 0 are left out of the document.

        If `unknown` is None, an unknown value rejects the row.
        """
        codes = [_number(code) for code in table.values()]
        keys: dict[str, Any] = {"categories": list(table)}
        if codes != [float(i) for i in range(len(codes))]:
            keys["codes"] = codes
        (encoded,) = self.add("encode", [column.index], keeps_missing=False, **keys)
        if unknown is not None:
            self.steps[-1].keys["unknown"] = _number(unknown)  # may be null
        if None in table and math.isnan(table[None]):
            self.missing[encoded.index] = self.missing[column.index]
        if unknown is not None and math.isnan(unknown):
            self.doubtful.add(encoded.index)
        return encoded

    def describe(self, column: Column) -> str:
        return f"column {self.names[column.index]!r}" if self.is_feature(column) else "a computed column"


def _plain(type_: str | None) -> str:
    return "text" if type_ in TEXTS else "numbers"


def is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _number(code: float) -> float | None:
    """Return a code as JSON has it, with None for NaN."""
    return None if math.isnan(code) else float(code)


def _listed(value: Any, op: str) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    if not np.isfinite(value).all():
        raise Unsupported(f"the preprocessing has numbers that are not finite ({op})")
    return value.astype(np.float64).tolist()


# The keys of each step that hold an entry per column, so that columns that nothing reads can be left out.
ENTRIES: dict[str, tuple[str, ...]] = {
    "impute": ("values",),
    "bins": ("edges",),
    "scale": ("subtract", "divide", "multiply", "add", "minimum", "maximum"),
    "quantiles": ("quantiles",),
    "power": ("lambdas",),
    "interpolate": ("x", "y"),
    "function": (),
    "constant": ("values",),
    "product": (),
    "quotient": (),
}


PAIRS = ("product", "quotient")  # steps that read a left and a right column

# The steps whose numbers come from the training data, and are NaN for a column without values there.
OF_TRAINING = ("scale", "quantiles", "power")


def pruned(steps: Sequence[Step], outputs: Sequence[int]) -> list[Step]:
    """Return the steps without those that neither reach the outputs nor reject rows."""
    live, kept = set(outputs), []
    for step in reversed(steps):
        if not step.rejects and not live & set(step.writes):
            continue
        step = _trimmed(step, live)
        live |= set(step.reads)
        kept.append(step)
    return kept[::-1]


def _trimmed(step: Step, live: set[int]) -> Step:
    if step.op not in ENTRIES:
        return step
    at = [i for i, index in enumerate(step.writes) if index in live]
    n = len(step.writes)
    reads = step.reads
    if step.op in PAIRS:
        reads = tuple([step.reads[i] for i in at] + [step.reads[n + i] for i in at])
    elif step.op != "constant":
        reads = tuple(step.reads[i] for i in at)
    keys = {
        key: [value[i] for i in at] if key in ENTRIES[step.op] else value for key, value in step.keys.items()
    }
    return replace(step, reads=reads, writes=tuple(step.writes[i] for i in at), keys=keys)


def document_keys(program: Program, outputs: Sequence[int]) -> dict[str, Any] | None:
    """Return the document's `preprocessing`; None if rows can go into the network as they are."""
    steps = pruned(program.steps, outputs)
    n = len(program.names)
    places = {i: i for i in range(n)}
    for step in steps:
        for index in step.writes:
            places[index] = len(places)
    types = [type_ or "unused" for type_ in program.types]
    types = [type_ if i in program.read else "unused" for i, type_ in enumerate(types)]
    missing = sorted(program.read - program.forbidden)
    moved = [places[index] for index in outputs]
    if not steps and not missing and moved == list(range(n)) and set(types) == {"number"}:
        return None
    return {
        "types": types,
        "missing": missing,
        "steps": [_step_keys(step, places) for step in steps],
        "outputs": moved,
    }


def _step_keys(step: Step, places: dict[int, int]) -> dict[str, Any]:
    reads = [places[index] for index in step.reads]
    columns: dict[str, Any] = {"columns": reads}
    if step.op in ("encode", "text"):
        columns = {"column": reads[0]}
    elif step.op in PAIRS:
        columns = {"left": reads[: len(reads) // 2], "right": reads[len(reads) // 2 :]}
    elif step.op == "coalesce":
        columns = {"columns": reads[: len(reads) // 2], "others": reads[len(reads) // 2 :]}
    elif step.op == "constant":
        columns = {}
    return {"op": step.op, **columns, **step.keys}
