"""The steps of preprocessing: each reads columns of the table and appends columns to it.

A table is one matrix, features along the first axis and rows along the last. A step works on whole columns,
one element at a time or along the features, so that what a row gets depends on nothing but the row. A missing
number is NaN. `model/README.md` says what each step computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from thimble import fields
from thimble.errors import InvalidModel
from thimble.network import FloatArray, logistic, product
from thimble.normal import inverse_normal

Selection = slice | NDArray[np.intp]


@dataclass(frozen=True)
class Table:
    """All columns of some rows; the rows are padded to sixteens with rows of zeros, which mean nothing."""

    numbers: FloatArray  # (columns, rows in sixteens)
    features: Sequence[Any]  # the features as they came, for those that are text
    rows: int
    rejected: dict[int, str]  # the first fault of a row

    def reject(self, row: int, sentence: str) -> None:
        if row < self.rows:
            self.rejected.setdefault(row, sentence)


class Step(Protocol):
    @property
    def width(self) -> int:
        """How many columns it appends."""
        ...

    def apply(self, table: Table, out: FloatArray) -> None:
        """Fill `out`, (width, rows)."""
        ...


@dataclass(frozen=True)
class Fields:
    """One step's keys, each asked for once; `texts` are the features that only `encode` may read."""

    raw: dict[str, Any]
    path: str
    columns_so_far: int
    texts: frozenset[int]
    names: Sequence[str]  # of the columns so far

    def columns(self, key: str = "columns") -> NDArray[np.intp]:
        found = fields.indices(self.required(key), f"{self.path}.{key}", self.columns_so_far)
        for i, column in enumerate(found.tolist()):
            if column in self.texts:
                raise InvalidModel(f"{self.path}.{key}[{i}] is column {column}, which is not of numbers")
        return found

    def required(self, key: str) -> Any:
        if key not in self.raw:
            raise InvalidModel(f"{self.path}.{key} is missing")
        return self.raw[key]

    def vector(self, key: str, n: int) -> FloatArray:
        """(n, 1)."""
        values = fields.vector(self.required(key), f"{self.path}.{key}")
        self.count(key, len(values), n)
        return values[:, np.newaxis]

    def optional(self, key: str, n: int) -> FloatArray | None:
        return self.vector(key, n) if key in self.raw else None

    def vectors(self, key: str, n: int, shortest: int = 1) -> tuple[FloatArray, ...]:
        """n vectors of any length, each in ascending order."""
        path = f"{self.path}.{key}"
        lists = fields.items(self.required(key), path)
        self.count(key, len(lists), n)
        found = tuple(fields.vector(values, f"{path}[{i}]") for i, values in enumerate(lists))
        for i, values in enumerate(found):
            if len(values) < shortest or (np.diff(values) < 0).any():
                raise InvalidModel(f"{path}[{i}] is not {shortest} or more numbers in ascending order")
        return found

    def matrix(self, key: str, rows: int) -> FloatArray:
        found = fields.matrix(self.required(key), f"{self.path}.{key}")
        self.count(key, len(found), rows)
        return found

    def choice(self, key: str, known: Sequence[str] | Mapping[str, Any]) -> str:
        return fields.choice(self.raw, key, known, None, f"{self.path}.")

    def number(self, key: str) -> float | None:
        """A number, NaN for null, None if there is no such key."""
        return _number(self.raw[key], f"{self.path}.{key}") if key in self.raw else None

    def categories(self, key: str, text: bool) -> list[Any]:
        """Distinct strings or distinct numbers, null among them or not."""
        path = f"{self.path}.{key}"
        found = fields.items(self.required(key), path)
        for i, category in enumerate(found):
            fits = isinstance(category, str) if text else fields.is_finite(category)
            if category is not None and not fits:
                raise InvalidModel(
                    f"{path}[{i}] is not {'a string' if text else 'a number'}, as the column is"
                )
        if len(set(found)) < len(found):
            raise InvalidModel(f"{path} has a category twice")
        return found

    def count(self, key: str, found: int, wanted: int) -> None:
        if found != wanted:
            raise InvalidModel(f"{self.path}.{key} has {found} entries; {wanted} are needed")


def _number(value: Any, path: str) -> float:
    if value is not None and not fields.is_finite(value):
        raise InvalidModel(f"{path} is not a number")
    return math.nan if value is None else float(value)


def selection(columns: NDArray[np.intp]) -> Selection:
    """Neighbours as a slice, which copies nothing."""
    start = int(columns[0])
    if np.array_equal(columns, np.arange(start, start + len(columns))):
        return slice(start, start + len(columns))
    return columns


@dataclass(frozen=True)
class Impute:
    columns: Selection
    values: FloatArray  # (k, 1)
    missing: float | None  # what counts as missing; None: what is missing

    @property
    def width(self) -> int:
        return len(self.values)

    def apply(self, table: Table, out: FloatArray) -> None:
        out[:] = table.numbers[self.columns]
        absent = np.isnan(out) if self.missing is None else out == self.missing
        np.copyto(out, self.values, where=absent)


def impute(f: Fields) -> Step:
    columns = f.columns()
    return Impute(selection(columns), f.vector("values", len(columns)), f.number("missing"))


@dataclass(frozen=True)
class EncodeText:
    """A text column to codes; None among the categories is a missing text."""

    feature: int
    name: str
    codes: dict[str | None, float]
    unknown: float | None  # None: the row is rejected
    width = 1

    def apply(self, table: Table, out: FloatArray) -> None:
        values = table.features[self.feature]
        if self.unknown is None:
            out[0, : table.rows] = [self.codes.get(value, math.inf) for value in values]
            for row in np.flatnonzero(np.isinf(out[0, : table.rows])).tolist():
                table.reject(row, unknown_category(self.name, values[row]))
                out[0, row] = 0.0
        else:
            out[0, : table.rows] = list(map(self.codes.get, values, repeat(self.unknown)))
        out[0, table.rows :] = 0.0


@dataclass(frozen=True)
class EncodeNumbers:
    column: int
    name: str
    categories: FloatArray  # ascending
    codes: FloatArray
    missing: float | None  # the code of a missing number; None: it has none
    unknown: float | None
    width = 1

    def apply(self, table: Table, out: FloatArray) -> None:
        x = table.numbers[self.column]
        absent = np.isnan(x)
        known = np.zeros(len(x), np.bool_)
        out[0] = 0.0 if self.unknown is None else self.unknown
        if len(self.categories):
            at = np.minimum(np.searchsorted(self.categories, x), len(self.categories) - 1)
            known = self.categories[at] == x
            np.copyto(out[0], self.codes[at], where=known)
        if self.missing is not None:
            np.copyto(out[0], self.missing, where=absent)
            known |= absent
        if self.unknown is None and not known.all():
            for row in np.flatnonzero(~known).tolist():
                table.reject(row, unknown_category(self.name, None if absent[row] else float(x[row])))


def unknown_category(name: str, value: Any) -> str:
    if value is None:
        return f"{name} is missing"
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return f"{name}: {text if len(text) <= 60 else text[:57] + '...'} is no category that the model knows"


def encode(f: Fields) -> Step:
    column = int(fields.indices([f.required("column")], f"{f.path}.column", f.columns_so_far)[0])
    categories = f.categories("categories", text=column in f.texts)
    codes = [float(code) for code in range(len(categories))]
    if "codes" in f.raw:
        path = f"{f.path}.codes"
        codes = [_number(code, f"{path}[{i}]") for i, code in enumerate(fields.items(f.raw["codes"], path))]
        f.count("codes", len(codes), len(categories))
    table, unknown, name = dict(zip(categories, codes, strict=True)), f.number("unknown"), f.names[column]
    if column in f.texts:
        return EncodeText(column, name, table, unknown)
    missing = table.pop(None, None)
    numbers = sorted(table)
    found = np.array([table[number] for number in numbers])
    return EncodeNumbers(column, name, np.array(numbers, np.float64), found, missing, unknown)


@dataclass(frozen=True)
class OneHot:
    columns: Selection  # each column as often as it has codes
    codes: FloatArray  # (width, 1)

    @property
    def width(self) -> int:
        return len(self.codes)

    def apply(self, table: Table, out: FloatArray) -> None:
        np.equal(table.numbers[self.columns], self.codes, out=out)


def one_hot(f: Fields) -> Step:
    columns = f.columns()
    sizes = fields.indices(f.required("sizes"), f"{f.path}.sizes", fields.MAX_WIDTH)
    f.count("sizes", len(sizes), len(columns))
    if not sizes.any() or sizes.sum() > fields.MAX_WIDTH:
        raise InvalidModel(f"{f.path}.sizes is {sizes.sum()} columns in all")
    codes = np.concatenate([np.arange(size, dtype=np.float64) for size in sizes])
    return OneHot(np.repeat(columns, sizes), codes[:, np.newaxis])


@dataclass(frozen=True)
class EachColumn:
    """A function of one column and what belongs to the column."""

    columns: NDArray[np.intp]
    functions: tuple[Callable[[FloatArray], Any], ...]

    @property
    def width(self) -> int:
        return len(self.columns)

    def apply(self, table: Table, out: FloatArray) -> None:
        for row, column, function in zip(out, self.columns, self.functions, strict=True):
            row[:] = function(table.numbers[column])


def bins(f: Fields) -> Step:
    """How many edges are at or below x."""
    columns = f.columns()
    edges = f.vectors("edges", len(columns))
    return EachColumn(columns, tuple(partial(np.searchsorted, e, side="right") for e in edges))


def interpolate(f: Fields) -> Step:
    columns = f.columns()
    xs, path = f.vectors("x", len(columns)), f"{f.path}.y"
    ys = tuple(fields.vector(y, f"{path}[{i}]") for i, y in enumerate(fields.items(f.required("y"), path)))
    f.count("y", len(ys), len(columns))
    for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
        if len(x) != len(y):
            raise InvalidModel(f"{path}[{i}] has {len(y)} numbers; x has {len(x)}")
    return EachColumn(columns, tuple(partial(np.interp, xp=x, fp=y) for x, y in zip(xs, ys, strict=True)))


def quantiles(f: Fields) -> Step:
    columns = f.columns()
    rank = {"uniform": _uniform_rank, "normal": _normal_rank}[f.choice("distribution", ("uniform", "normal"))]
    known = f.vectors("quantiles", len(columns), shortest=2)
    return EachColumn(columns, tuple(partial(rank, q, np.linspace(0, 1, len(q))) for q in known))


def _uniform_rank(q: FloatArray, ranks: FloatArray, x: FloatArray) -> FloatArray:
    """The share of the training data below x; the mean of both directions where quantiles repeat."""
    y = 0.5 * (np.interp(x, q, ranks) - np.interp(-x, -q[::-1], -ranks[::-1]))
    y[x == q[-1]] = 1.0
    y[x == q[0]] = 0.0
    return y


NEAR = 1e-7  # of an outermost quantile: its rank is 0 or 1
LOWEST, HIGHEST = NEAR - np.spacing(1.0), 1 - (NEAR - np.spacing(1.0))


def _normal_rank(q: FloatArray, ranks: FloatArray, x: FloatArray) -> FloatArray:
    """The same, as a standard normal variable."""
    y = 0.5 * (np.interp(x, q, ranks) - np.interp(-x, -q[::-1], -ranks[::-1]))
    y[x + NEAR > q[-1]] = 1.0
    y[x - NEAR < q[0]] = 0.0
    return inverse_normal(np.clip(y, LOWEST, HIGHEST))


def power(f: Fields) -> Step:
    columns = f.columns()
    transform = f.choice("method", POWERS)
    lambdas = f.vector("lambdas", len(columns))
    return EachColumn(columns, tuple(partial(POWERS[transform], float(lmbda)) for lmbda in lambdas[:, 0]))


def _yeo_johnson(lmbda: float, x: FloatArray) -> FloatArray:
    log = np.log1p(np.abs(x))
    upper = log if abs(lmbda) < np.spacing(1.0) else np.expm1(lmbda * log) / lmbda
    lower = log if abs(lmbda - 2) <= np.spacing(1.0) else np.expm1((2 - lmbda) * log) / (2 - lmbda)
    return np.where(x >= 0, upper, -lower)


def _box_cox(lmbda: float, x: FloatArray) -> FloatArray:
    log = np.log(np.where(x > 0, x, np.nan))
    return log if abs(lmbda) < 1e-19 else np.expm1(lmbda * log) / lmbda


POWERS = {"yeo-johnson": _yeo_johnson, "box-cox": _box_cox}
ARITHMETIC = (
    ("subtract", np.subtract),
    ("divide", np.divide),
    ("multiply", np.multiply),
    ("add", np.add),
    ("minimum", np.maximum),
    ("maximum", np.minimum),
)


@dataclass(frozen=True)
class Scale:
    columns: Selection
    width: int
    operations: tuple[tuple[np.ufunc, FloatArray], ...]  # each with (k, 1)

    def apply(self, table: Table, out: FloatArray) -> None:
        x = table.numbers[self.columns]
        for operation, values in self.operations:
            x = operation(x, values, out=out)


def scale(f: Fields) -> Step:
    columns = f.columns()
    found = ((operation, f.optional(key, len(columns))) for key, operation in ARITHMETIC)
    operations = tuple((operation, values) for operation, values in found if values is not None)
    if not operations:
        raise InvalidModel(f"{f.path} has none of {', '.join(key for key, _ in ARITHMETIC)}")
    return Scale(selection(columns), len(columns), operations)


@dataclass(frozen=True)
class Linear:
    columns: Selection
    weights: FloatArray  # (width, k)
    biases: FloatArray  # (width, 1)

    @property
    def width(self) -> int:
        return len(self.weights)

    def apply(self, table: Table, out: FloatArray) -> None:
        product(self.weights, table.numbers[self.columns], out)
        out += self.biases


def linear(f: Fields) -> Step:
    columns = f.columns()
    weights = np.ascontiguousarray(f.matrix("coefs", len(columns)).T)
    return Linear(selection(columns), weights, f.vector("intercepts", len(weights)))


@dataclass(frozen=True)
class Normalize:
    columns: Selection
    width: int
    norm: Callable[[FloatArray], FloatArray]  # (k, n) to (n,)

    def apply(self, table: Table, out: FloatArray) -> None:
        x = table.numbers[self.columns]
        norms = self.norm(x)
        zero = norms == 0
        norms[zero] = 1.0
        np.divide(x, norms, out=out)
        if self.norm is _sum:
            out[:, zero] = 1.0 / self.width


def _sum(x: FloatArray) -> FloatArray:
    return np.asarray(x.sum(axis=0))


NORMS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "l1": lambda x: np.abs(x).sum(axis=0),
    "l2": lambda x: np.sqrt((x * x).sum(axis=0)),
    "max": lambda x: np.abs(x).max(axis=0),
    "sum": _sum,
}


def normalize(f: Fields) -> Step:
    columns = f.columns()
    return Normalize(selection(columns), len(columns), NORMS[f.choice("norm", NORMS)])


@dataclass(frozen=True)
class Product:
    left: Selection
    right: Selection
    width: int

    def apply(self, table: Table, out: FloatArray) -> None:
        np.multiply(table.numbers[self.left], table.numbers[self.right], out=out)


def products(f: Fields) -> Step:
    left, right = f.columns("left"), f.columns("right")
    f.count("right", len(right), len(left))
    return Product(selection(left), selection(right), len(left))


@dataclass(frozen=True)
class Constant:
    values: FloatArray  # (width, 1)

    @property
    def width(self) -> int:
        return len(self.values)

    def apply(self, table: Table, out: FloatArray) -> None:
        out[:] = self.values


def constant(f: Fields) -> Step:
    return Constant(fields.vector(f.required("values"), f"{f.path}.values")[:, np.newaxis])


def _logistic(x: FloatArray) -> FloatArray:
    z = x.copy()
    logistic(z)
    return z


FUNCTIONS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "logistic": _logistic,
    "relu": lambda x: np.maximum(x, 0.0),
    "abs": np.abs,
    "sign": np.sign,
    "negative": np.negative,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "rint": np.rint,
    "square": np.square,
    "sqrt": np.sqrt,
    "cbrt": np.cbrt,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "arcsin": np.arcsin,
    "arccos": np.arccos,
    "arctan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "arcsinh": np.arcsinh,
    "arccosh": np.arccosh,
    "arctanh": np.arctanh,
}


@dataclass(frozen=True)
class Function:
    columns: Selection
    width: int
    function: Callable[[FloatArray], FloatArray]

    def apply(self, table: Table, out: FloatArray) -> None:
        out[:] = self.function(table.numbers[self.columns])


def function(f: Fields) -> Step:
    columns = f.columns()
    return Function(selection(columns), len(columns), FUNCTIONS[f.choice("name", FUNCTIONS)])


@dataclass(frozen=True)
class Require:
    """A missing number here rejects the row."""

    columns: Selection
    names: tuple[str, ...]
    width = 0

    def apply(self, table: Table, out: FloatArray) -> None:
        for i, row in zip(*np.nonzero(np.isnan(table.numbers[self.columns])), strict=True):
            table.reject(int(row), f"{self.names[i]}: the preprocessing makes no number of it")


def require(f: Fields) -> Step:
    columns = f.columns()
    return Require(selection(columns), tuple(f.names[column] for column in columns))


VOCABULARY: dict[str, tuple[Callable[[Fields], Step], frozenset[str]]] = {
    "impute": (impute, frozenset({"columns", "values", "missing"})),
    "encode": (encode, frozenset({"column", "categories", "codes", "unknown"})),
    "one_hot": (one_hot, frozenset({"columns", "sizes"})),
    "bins": (bins, frozenset({"columns", "edges"})),
    "scale": (scale, frozenset({"columns", *(key for key, _ in ARITHMETIC)})),
    "linear": (linear, frozenset({"columns", "coefs", "intercepts"})),
    "normalize": (normalize, frozenset({"columns", "norm"})),
    "product": (products, frozenset({"left", "right"})),
    "constant": (constant, frozenset({"values"})),
    "quantiles": (quantiles, frozenset({"columns", "quantiles", "distribution"})),
    "power": (power, frozenset({"columns", "method", "lambdas"})),
    "interpolate": (interpolate, frozenset({"columns", "x", "y"})),
    "function": (function, frozenset({"columns", "name"})),
    "require": (require, frozenset({"columns"})),
}


def read(raw: Any, path: str, columns_so_far: int, texts: frozenset[int], names: Sequence[str]) -> Step:
    """A step of the document; InvalidModel says what is wrong with it."""
    if not isinstance(raw, dict):
        raise InvalidModel(f"{path} is not an object")
    op = fields.choice(raw, "op", VOCABULARY, None, f"{path}.")
    reader, keys = VOCABULARY[op]
    for key in raw:
        if key != "op" and key not in keys:
            raise InvalidModel(f"{path}.{fields.shown(key)} is no key of {op}")
    return reader(Fields(raw, path, columns_so_far, texts, names))
