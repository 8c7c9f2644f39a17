"""Steps that compute with numbers: column by column, across columns, and element by element."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np

from thimble.errors import InvalidModel
from thimble.inference import cost, network
from thimble.inference.arrays import FloatArray, all_finite
from thimble.inference.cost import Cost, elementwise
from thimble.inference.steps.columns import Row, Step, StepFields, Table, no_number, selection

SCALING = {
    "subtract": np.subtract,
    "divide": np.divide,
    "multiply": np.multiply,
    "add": np.add,
    "minimum": np.maximum,
    "maximum": np.minimum,
}
ALONE: dict[str, Callable[[float, float], float]] = {
    "subtract": operator.sub,
    "divide": operator.truediv,
    "multiply": operator.mul,
    "add": operator.add,
}


class Scale(Step):
    """Apply the operations of SCALING that are given, in the order of SCALING."""

    KEYS = ("columns", *SCALING)

    def __init__(self, fields: StepFields) -> None:
        columns = fields.columns()
        n = len(columns)
        self.operations = [(key, fields.column(key, n)) for key in SCALING if key in fields]
        if not self.operations:
            raise InvalidModel(f"{fields.path} has none of the keys {', '.join(SCALING)}")
        self.reads = selection(columns)
        self._declare([columns], n, elementwise(n, n, cost.COLUMN * len(self.operations)))
        self.plain = all(key in ALONE for key, _ in self.operations)
        self.listed = [(key, values.ravel().tolist()) for key, values in self.operations]

    def fill(self, table: Table, out: FloatArray) -> None:
        x = table.numbers[self.reads]
        for key, values in self.operations:
            x = SCALING[key](x, values, out=out)

    def alone(self, row: Row) -> list[float]:
        x = [row[column] for column in self.columns]
        for key, values in self.listed:
            x = [*map(ALONE[key], x, values)]
        return x


class Linear(Step):
    """Compute weighted sums of the columns. A missing number makes the sums missing."""

    KEYS = ("columns", "coefs", "intercepts")

    def __init__(self, fields: StepFields) -> None:
        columns = fields.columns()
        self.weights = np.ascontiguousarray(fields.matrix("coefs", len(columns)).T)  # (width, k)
        width = len(self.weights)
        self.biases = network.repeated(fields.vector("intercepts", width))
        self.reads = selection(columns)
        read = Cost(cost.COLUMN * len(columns))
        multiplied = cost.product([(len(columns), width)], cost.COLUMN)
        self._declare([columns], width, cost.in_turn((read, multiplied)))

    def fill(self, table: Table, out: FloatArray) -> None:
        x = table.numbers[self.reads]
        network.affine(self.weights, self.biases, x, out)
        if not all_finite(x):  # BLAS may take 0 times NaN for 0
            out[:, np.isnan(x).any(axis=0)] = np.nan


class Pairs(Step):
    """Compute with left[i] and right[i]."""

    KEYS = ("left", "right")

    def __init__(self, fields: StepFields) -> None:
        left, right = fields.columns("left"), fields.columns("right")
        n = len(left)
        fields.check_length("right", len(right), n)
        self.left, self.right = selection(left), selection(right)
        self._declare([left, right], n, elementwise(2 * n, n))


class Product(Pairs):
    def fill(self, table: Table, out: FloatArray) -> None:
        np.multiply(table.numbers[self.left], table.numbers[self.right], out=out)


class Quotient(Pairs):
    def fill(self, table: Table, out: FloatArray) -> None:
        np.divide(table.numbers[self.left], table.numbers[self.right], out=out)


class Constant(Step):
    """Append the same numbers to every row."""

    KEYS = ("values",)

    def __init__(self, fields: StepFields) -> None:
        self.values = fields.column("values")
        self._declare([], len(self.values), elementwise(0, len(self.values)))

    def fill(self, table: Table, out: FloatArray) -> None:
        out[:] = self.values


NORMS: dict[str, Callable[[FloatArray], FloatArray]] = {  # (k, n) to (n,)
    "l1": lambda x: np.abs(x).sum(axis=0),
    "l2": lambda x: np.sqrt((x * x).sum(axis=0)),
    "max": lambda x: np.abs(x).max(axis=0),
    "sum": lambda x: np.asarray(x.sum(axis=0)),
}


class Normalize(Step):
    """Divide each row by its norm over the columns. A row whose norm is zero, or below `smallest`, stays as
    it is, or with the norm "sum" becomes uniform."""

    KEYS = ("columns", "norm", "smallest")

    def __init__(self, fields: StepFields) -> None:
        columns = fields.columns()
        n = len(columns)
        self.norm, self.smallest = fields.choice("norm", NORMS), fields.finite("smallest")
        self.reads = selection(columns)
        self._declare([columns], n, elementwise(2 * n, n))

    def fill(self, table: Table, out: FloatArray) -> None:
        x = table.numbers[self.reads]
        norms = NORMS[self.norm](x)
        zero = norms == 0 if self.smallest is None else norms < self.smallest
        norms[zero] = 1.0
        np.divide(x, norms, out=out)
        if self.norm == "sum":
            out[:, zero] = 1.0 / len(out)


class Impute(Step):
    """Replace a missing number, or one that equals `missing`, by its column's value."""

    KEYS = ("columns", "values", "missing")
    plain = True

    def __init__(self, fields: StepFields) -> None:
        columns = fields.columns()
        n = len(columns)
        self.values, self.missing = fields.column("values", n), fields.finite("missing")
        self.reads = selection(columns)
        self._declare([columns], n, elementwise(n, n))
        self.each = list(zip(self.columns, self.values.ravel().tolist(), strict=True))

    def fill(self, table: Table, out: FloatArray) -> None:
        out[:] = table.numbers[self.reads]
        absent = np.isnan(out) if self.missing is None else out == self.missing
        np.copyto(out, self.values, where=absent)

    def alone(self, row: Row) -> list[float]:
        if self.missing is None:
            return [x if (x := row[column]) == x else value for column, value in self.each]
        return [value if (x := row[column]) == self.missing else x for column, value in self.each]


class Coalesce(Step):
    """Take x, or where it is missing the number of the other column."""

    KEYS = ("columns", "others")

    def __init__(self, fields: StepFields) -> None:
        columns, others = fields.columns(), fields.columns("others")
        n = len(columns)
        fields.check_length("others", len(others), n)
        self.reads, self.others = selection(columns), selection(others)
        self._declare([columns, others], n, elementwise(2 * n, n))

    def fill(self, table: Table, out: FloatArray) -> None:
        out[:] = table.numbers[self.reads]
        np.copyto(out, table.numbers[self.others], where=np.isnan(out))


class Require(Step):
    """Reject rows in which a number is missing."""

    KEYS = ("columns",)

    def __init__(self, fields: StepFields) -> None:
        columns = fields.columns()
        self.reads, self.names = selection(columns), [fields.names[column] for column in columns]
        self._declare([columns], 0, elementwise(len(columns), 0))

    def fill(self, table: Table, out: FloatArray) -> None:
        table.reject_where(np.isnan(table.numbers[self.reads]), lambda i: no_number(self.names[i]))


def _logistic(x: FloatArray) -> FloatArray:
    z = x.copy()
    network.logistic(z)
    return z


NUMPY = (
    *("abs", "sign", "negative", "floor", "ceil", "trunc", "rint", "square", "sqrt", "cbrt"),
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p"),
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan"),
    *("sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"),
)
FUNCTIONS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "logistic": _logistic,
    "relu": lambda x: np.maximum(x, 0.0),
    **{name: getattr(np, name) for name in NUMPY},
}


class Function(Step):
    """Apply one of FUNCTIONS to each number."""

    KEYS = ("columns", "name")

    def __init__(self, fields: StepFields) -> None:
        columns = fields.columns()
        n = len(columns)
        self.name, self.reads = fields.choice("name", FUNCTIONS), selection(columns)
        self._declare([columns], n, elementwise(n, n, cost.FUNCTION))

    def fill(self, table: Table, out: FloatArray) -> None:
        out[:] = FUNCTIONS[self.name](table.numbers[self.reads])
