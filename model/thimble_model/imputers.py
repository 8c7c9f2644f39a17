"""Turn fitted imputers and indicators of missing values into steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import linear_model
from sklearn.impute import MissingIndicator, SimpleImputer

from thimble_model.forms import is_missing, require_plain
from thimble_model.program import Column, Program, is_null
from thimble_model.unsupported import Unsupported, class_name, names

Columns = list[Column]

LINEAR = (
    linear_model.BayesianRidge,
    linear_model.ElasticNet,
    linear_model.ElasticNetCV,
    linear_model.HuberRegressor,
    linear_model.Lasso,
    linear_model.LassoCV,
    linear_model.LinearRegression,
    linear_model.Ridge,
    linear_model.RidgeCV,
)


def simple_imputer(program: Program, estimator: SimpleImputer, columns: Columns) -> Columns:
    fills = _fills(program, estimator, columns)
    if is_missing(estimator.missing_values):
        for column in columns:
            program.settle_null(column, estimator.missing_values)
    numeric = [column for column, fill in fills if not isinstance(fill, str)]
    values = np.array([fill for _, fill in fills if not isinstance(fill, str)], dtype=np.float64)
    absent = None if is_missing(estimator.missing_values) else estimator.missing_values
    made = iter(
        program.add(
            "impute",
            program.numbers(numeric),
            keeps_missing=absent is not None,
            values=values,
            missing=float(absent) if numeric and absent is not None else None,
        )
    )
    imputed = [
        _imputed_text(program, column, absent, fill) if isinstance(fill, str) else next(made)
        for column, fill in fills
    ]
    return (
        imputed
        if estimator.indicator_ is None
        else imputed + _indicators(program, estimator.indicator_, columns)
    )


def _fills(program: Program, estimator: SimpleImputer, columns: Columns) -> list[tuple[Column, Any]]:
    """Return the columns that are filled, each with the value that scikit-learn fills in."""
    dtype = getattr(estimator, "_fill_dtype", estimator.statistics_.dtype)
    fills = []
    for column, fill in zip(columns, estimator.statistics_.tolist(), strict=True):
        require_plain(program.describe(column), [fill])
        if fill is None:
            raise Unsupported(
                f"it fills {program.describe(column)} with None, which is all that the training data has "
                "there; leave the column out, or give the imputer missing_values=None, and fit again"
            )
        if is_null(fill):  # the training data had no value: scikit-learn leaves the column out
            program.settle(column, "text" if program.is_text(column) else "number")
        else:
            fills.append((column, np.array([fill], dtype=object).astype(dtype).tolist()[0]))
    return fills


def _imputed_text(program: Program, column: Column, absent: Any, fill: str) -> Column:
    program.settle(column, "text")
    return column.replacing(absent, fill)


def missing_indicator(program: Program, estimator: MissingIndicator, columns: Columns) -> Columns:
    if estimator.features == "missing-only" and estimator.error_on_new:
        others = set(range(len(columns))) - set(estimator.features_.tolist())
        if is_missing(estimator.missing_values):
            program.refuse_missing([columns[i] for i in others])
        elif others:
            raise Unsupported("error_on_new=True with other missing_values than NaN; set error_on_new=False")
    if not is_missing(estimator.missing_values):
        program.refuse_missing(columns)
    return _indicators(program, estimator, columns)


def _indicators(program: Program, estimator: MissingIndicator, columns: Columns) -> Columns:
    missing = estimator.missing_values
    made = []
    for i in estimator.features_.tolist():
        column = columns[i]
        if program.is_feature(column) and program.types[column.index] is None:
            program.settle(column, "text" if isinstance(missing, str) else "number")
        is_text = program.is_text(column)
        program.settle(column, "text" if is_text else "number")
        wanted = None if is_missing(missing) else missing if is_text else float(missing)
        keys = [wanted, *column.told_apart]
        table = {key: float(column.seen(key) == wanted) if is_text else 1.0 for key in keys}
        others = float(column.seen("\x00") == wanted) if is_text else 0.0
        made.append(program.tabled(column, table, others))
    return made


def iterative_imputer(program: Program, estimator: Any, columns: Columns) -> Columns:
    """Fill each missing value by a guess from the other columns, round by round, as they are by then."""
    _require_linear(estimator)
    filled = simple_imputer(program, estimator.initial_imputer_, columns)
    empty = estimator._is_empty_feature & (not estimator.keep_empty_features)
    kept = [column for column, is_empty in zip(columns, empty, strict=True) if not is_empty]
    known = program.numbers(kept)
    for feature, neighbours, one in estimator.imputation_sequence_ if estimator.n_iter_ else ():
        guess = program.add(
            "linear",
            [filled[k].index for k in neighbours],
            width=1,
            coefs=np.reshape(one.coef_, (-1, 1)),
            intercepts=np.reshape(one.intercept_, 1),
        )
        guess = _bounded(program, guess, estimator._min_value[feature], estimator._max_value[feature])
        [filled[feature]] = program.add("coalesce", [known[feature], guess[0].index], width=1)
    if estimator.indicator_ is None:
        return filled
    return filled + _indicators(program, estimator.indicator_, columns)


def _require_linear(estimator: Any) -> None:
    if estimator.sample_posterior:
        raise Unsupported("sample_posterior=True makes up what it fills in; fit it without")
    if not is_missing(estimator.missing_values):
        raise Unsupported("missing_values other than NaN; make them NaN, and fit again")
    for _, _, one in estimator.imputation_sequence_:
        if type(one) not in LINEAR:
            raise Unsupported(
                f"its estimator is {class_name(one)}; supported are {names(kind.__name__ for kind in LINEAR)}"
            )


def _bounded(program: Program, guess: Columns, lowest: float, highest: float) -> Columns:
    for key, bound in (("minimum", lowest), ("maximum", highest)):
        if np.isfinite(bound):
            values: dict[str, Any] = {key: np.full(1, bound)}
            guess = program.add("scale", program.numbers(guess), **values)
    return guess
