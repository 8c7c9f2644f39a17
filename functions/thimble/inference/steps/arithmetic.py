"""Steps that compute: with numbers of a column's own, across columns, and element by element."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from thimble.errors import InvalidModel
from thimble.inference import cost, network
from thimble.inference.arrays import FloatArray, all_finite
from thimble.inference.cost import Cost
from thimble.inference.steps.columns import Step, Table, selection
from thimble.inference.steps.keys import Keys

SCALING = {
    "subtract": np.subtract,
    "divide": np.divide,
    "multiply": np.multiply,
    "add": np.add,
    "minimum": np.maximum,
    "maximum": np.minimum,
}


def scale(keys: Keys) -> Step:
    """The operations of SCALING, as far as given, in their order."""
    columns = keys.columns()
    found = ((operation, keys.optional(key, len(columns))) for key, operation in SCALING.items())
    operations = [(operation, values) for operation, values in found if values is not None]
    if not operations:
        raise InvalidModel(f"{keys.path} has none of {', '.join(SCALING)}")
    reads = selection(columns)

    def fill(table: Table, out: FloatArray) -> None:
        x = table.numbers[reads]
        for operation, values in operations:
            x = operation(x, values, out=out)

    return Step(
        len(columns), fill, cost.elementwise(len(columns), len(columns), cost.COLUMN * len(operations))
    )


def linear(keys: Keys) -> Step:
    """Weighted sums of the columns; where one is missing, there is none."""
    columns = keys.columns()
    weights = np.ascontiguousarray(keys.matrix("coefs", len(columns)).T)  # (width, k)
    reads, biases = selection(columns), network.repeated(keys.vector("intercepts", len(weights)).ravel())

    def fill(table: Table, out: FloatArray) -> None:
        x = table.numbers[reads]
        network.affine(weights, biases, x, out)
        if not all_finite(x):  # BLAS may take 0 times NaN for 0
            out[:, np.isnan(x).any(axis=0)] = np.nan

    multiplied = cost.product([(len(columns), len(weights))], cost.COLUMN)
    read = Cost(cost.COLUMN * len(columns))
    return Step(len(weights), fill, cost.in_turn((read, multiplied)))


def product(keys: Keys) -> Step:
    """left[i] times right[i]."""
    left, right = keys.columns("left"), keys.columns("right")
    keys.check_length("right", len(right), len(left))
    a, b = selection(left), selection(right)

    def fill(table: Table, out: FloatArray) -> None:
        np.multiply(table.numbers[a], table.numbers[b], out=out)

    return Step(len(left), fill, cost.elementwise(2 * len(left), len(left)))


def constant(keys: Keys) -> Step:
    values = keys.vector("values")

    def fill(table: Table, out: FloatArray) -> None:
        out[:] = values

    return Step(len(values), fill, cost.elementwise(0, len(values)))


NORMS: dict[str, Callable[[FloatArray], FloatArray]] = {  # (k, n) to (n,)
    "l1": lambda x: np.abs(x).sum(axis=0),
    "l2": lambda x: np.sqrt((x * x).sum(axis=0)),
    "max": lambda x: np.abs(x).max(axis=0),
    "sum": lambda x: np.asarray(x.sum(axis=0)),
}


def normalize(keys: Keys) -> Step:
    """Each row divided by its norm over the columns. Where that is zero, or below `smallest`, the row stays,
    or is spread evenly."""
    columns, name = keys.columns(), keys.choice("norm", NORMS)
    reads, norm, smallest = selection(columns), NORMS[name], keys.finite("smallest")

    def fill(table: Table, out: FloatArray) -> None:
        x = table.numbers[reads]
        norms = norm(x)
        zero = norms == 0 if smallest is None else norms < smallest
        norms[zero] = 1.0
        np.divide(x, norms, out=out)
        if name == "sum":
            out[:, zero] = 1.0 / len(out)

    return Step(len(columns), fill, cost.elementwise(2 * len(columns), len(columns)))


def _logistic(x: FloatArray) -> FloatArray:
    z = x.copy()
    network.logistic(z)
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


def function(keys: Keys) -> Step:
    """One of FUNCTIONS, element by element."""
    columns, compute = keys.columns(), FUNCTIONS[keys.choice("name", FUNCTIONS)]
    reads = selection(columns)

    def fill(table: Table, out: FloatArray) -> None:
        out[:] = compute(table.numbers[reads])

    return Step(len(columns), fill, cost.elementwise(len(columns), len(columns), cost.FUNCTION))
