"""Turn a fitted SplineTransformer into steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.preprocessing import SplineTransformer

from thimble_model.program import Column, Program
from thimble_model.unsupported import Unsupported

Columns = list[Column]

OUTSIDE = {
    "continue": "curve",
    "constant": "edge",
    "linear": "edge",
    "error": "missing",
    "periodic": "period",
}


def spline_transformer(program: Program, estimator: SplineTransformer, columns: Columns) -> Columns:
    zeros = getattr(estimator, "handle_missing", "error") == "zeros"
    if estimator.degree == 0:
        raise Unsupported("degree=0 makes steps of a column; KBinsDiscretizer makes them too, and exports")
    if estimator.degree == 1 and estimator.extrapolation == "linear" and len(columns) > 1:
        raise Unsupported(
            "degree=1 and extrapolation='linear' of several columns, where scikit-learn takes other edges "
            "from the second on; fit one for each column, or with degree=2"
        )
    if zeros and estimator.extrapolation == "error":
        raise Unsupported(
            "handle_missing='zeros' beside extrapolation='error'; impute before it, or fit it with another "
            "extrapolation"
        )
    made = [
        one
        for column, spline in zip(columns, estimator.bsplines_, strict=True)
        for one in _basis(program, estimator, column, spline)
    ]
    if zeros:
        return program.add("impute", program.numbers(made), keeps_missing=False, values=np.zeros(len(made)))
    if estimator.extrapolation == "error":
        program.doubtful |= {column.index for column in made}
        program.refuse_missing(made)
    return made


def _basis(program: Program, estimator: SplineTransformer, column: Column, spline: Any) -> Columns:
    """Return one column's splines; the last is left out if `include_bias` is false."""
    made = program.add(
        "spline",
        program.numbers([column]),
        width=spline.c.shape[1],
        knots=[np.asarray(spline.t).tolist()],
        degree=int(spline.k),
        outside=OUTSIDE[estimator.extrapolation],
    )
    if estimator.extrapolation == "linear":
        made = _with_slopes(program, column, made, spline)
    return made if estimator.include_bias else made[:-1]


def _with_slopes(program: Program, column: Column, made: Columns, spline: Any) -> Columns:
    """Continue the splines as straight lines beyond the edges: the slope at the edge times the distance."""
    first, last = spline.t[spline.k], spline.t[-spline.k - 1]
    below = program.add("scale", [column.index], subtract=np.array([first]), maximum=np.zeros(1))
    above = program.add("scale", [column.index], subtract=np.array([last]), minimum=np.zeros(1))
    slopes = np.array([spline(first, nu=1), spline(last, nu=1)])
    n, near = len(made), max(2, int(spline.k))
    slopes[0, near:] = 0.0
    slopes[1, : n - near] = 0.0
    return program.add(
        "linear",
        program.numbers([*made, *below, *above]),
        width=n,
        foldable=True,
        coefs=np.vstack([np.eye(n), slopes]),
        intercepts=np.zeros(n),
    )
