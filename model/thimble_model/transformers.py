"""Turn fitted transformers into steps of the document's preprocessing.

Each function takes the program, the estimator and the columns that it reads, and returns the columns that it
makes. Affine steps are marked foldable: they may go into the network's first layer. Nothing is approximated:
a transformer without an exact form is refused, with its place in the pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np
from sklearn import feature_selection
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.impute._iterative import IterativeImputer
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from thimble_model import catalogue, text
from thimble_model.encoders import one_hot_encoder, ordinal_encoder, target_encoder
from thimble_model.imputers import iterative_imputer, missing_indicator, simple_imputer
from thimble_model.others import OTHERS
from thimble_model.program import Column, Program
from thimble_model.projections import PROJECTIONS
from thimble_model.sparsity import makes_sparse
from thimble_model.splines import spline_transformer
from thimble_model.text_columns import are_terms
from thimble_model.unsupported import Unsupported, class_name, names
from thimble_model.wrappers import through

Columns = list[Column]
Transformer = Callable[[Program, Any, Columns], Columns]
STATELESS = (HashingVectorizer,)  # scikit-learn 1.6.0 claims that it must be fitted


def transform(program: Program, estimator: Any, columns: Columns, place: tuple[str, ...] = ()) -> Columns:
    """Return the columns that a transformer, or a nest of them, makes of these."""
    if estimator is None or isinstance(estimator, str):
        return [] if estimator == "drop" else columns
    made = _made(program, estimator, columns, place)
    sparse = makes_sparse(estimator, _are_sparse(columns))
    return [column if column.sparse == sparse else replace(column, sparse=sparse) for column in made]


def _are_sparse(columns: Columns) -> bool:
    return any(column.sparse for column in columns)


def _made(program: Program, estimator: Any, columns: Columns, place: tuple[str, ...]) -> Columns:
    if found := through(estimator):
        for name, step in found.steps:
            columns = transform(program, step, columns, (*place, name))
        return transform(program, found.last, columns, found.place(place))
    if type(estimator) in NESTS:
        return NESTS[type(estimator)](program, estimator, columns, place)
    if other := OTHERS.get(catalogue.name_of(type(estimator))):
        return _located(other, program, estimator, columns, place)
    if type(estimator) not in TRANSFORMERS:
        known = [kind.__name__ for kind in (*TRANSFORMERS, *NESTS)]
        raise unsupported(estimator, place, [*known, "Pipeline"], catalogue.TRANSFORMERS)
    return _located(_validated, program, estimator, columns, place)


def _validated(program: Program, estimator: Any, columns: Columns) -> Columns:
    """Transform the columns; like scikit-learn, refuse missing values first unless the class takes them."""
    if not get_tags(estimator).input_tags.allow_nan and not get_tags(estimator).no_validation:
        program.refuse_missing([column for column in columns if not _takes_none(program, estimator, column)])
    if type(estimator) in text.OVER_TERMS and are_terms(program, columns):
        return text.OVER_TERMS[type(estimator)](program, estimator, columns)
    return TRANSFORMERS[type(estimator)](program, estimator, columns)


def _located(
    make: Transformer, program: Program, estimator: Any, columns: Columns, place: tuple[str, ...]
) -> Columns:
    try:
        if type(estimator) not in STATELESS:
            check_is_fitted(estimator)
        return make(program, estimator, columns)
    except NotFittedError:
        raise Unsupported(f"{located(estimator, place)} is not fitted") from None
    except Unsupported as error:
        raise Unsupported(f"{located(estimator, place)}: {error}") from None


def unsupported(
    estimator: Any, place: Sequence[str], known: Sequence[str], lines: Mapping[str, catalogue.Line]
) -> Unsupported:
    """Return the refusal of an unsupported class.

    A class of another library with a known name is named with its module.
    """
    name = class_name(estimator)
    if why := catalogue.refusal(type(estimator), lines):
        return Unsupported(f"{_placed(name, place)} is not supported: {why}")
    shown = f"{type(estimator).__module__}.{name}" if name in known else name
    return Unsupported(f"{_placed(shown, place)} is not supported; supported are {names(known)}")


def located(estimator: Any, place: Sequence[str]) -> str:
    return _placed(class_name(estimator), place)


def _placed(name: str, place: Sequence[str]) -> str:
    return f"step {' > '.join(map(repr, place))} ({name})" if place else name


def _takes_none(program: Program, estimator: Any, column: Column) -> bool:
    """Return whether the estimator fills None in this column.

    scikit-learn does not take None in a column of objects for NaN. A computed column has only NaN.
    """
    fills_none = isinstance(estimator, SimpleImputer) and estimator.missing_values is None
    return fills_none and program.is_feature(column)


def column_transformer(
    program: Program, estimator: ColumnTransformer, columns: Columns, place: tuple[str, ...]
) -> Columns:
    made: Columns = []
    weights = estimator.transformer_weights or {}
    for name, step, _ in estimator.transformers_:
        chosen = [columns[i] for i in estimator._transformer_to_input_indices[name]]
        if chosen:
            made += _weighted(program, transform(program, step, chosen, (*place, name)), weights.get(name))
    return made


def feature_union(
    program: Program, estimator: FeatureUnion, columns: Columns, place: tuple[str, ...]
) -> Columns:
    made: Columns = []
    weights = estimator.transformer_weights or {}
    for name, step in estimator.transformer_list:
        made += _weighted(program, transform(program, step, columns, (*place, name)), weights.get(name))
    return made


def _weighted(program: Program, columns: Columns, weight: float | None) -> Columns:
    if weight is None:
        return columns
    return program.add(
        "scale", program.numbers(columns), foldable=True, multiply=np.full(len(columns), weight)
    )


NESTS: dict[type, Callable[[Program, Any, Columns, tuple[str, ...]], Columns]] = {
    ColumnTransformer: column_transformer,
    FeatureUnion: feature_union,
}


def standard_scaler(program: Program, estimator: StandardScaler, columns: Columns) -> Columns:
    mean = estimator.mean_ if estimator.with_mean else None
    return _scaled(program, columns, subtract=mean, divide=estimator.scale_ if estimator.with_std else None)


def min_max_scaler(program: Program, estimator: MinMaxScaler, columns: Columns) -> Columns:
    values = {"multiply": estimator.scale_, "add": estimator.min_}
    return _scaled(program, columns, **values, bounds=estimator.feature_range if estimator.clip else None)


def max_abs_scaler(program: Program, estimator: MaxAbsScaler, columns: Columns) -> Columns:
    bounds = (-1.0, 1.0) if getattr(estimator, "clip", False) else None
    return _scaled(program, columns, divide=estimator.scale_, bounds=bounds)


def robust_scaler(program: Program, estimator: RobustScaler, columns: Columns) -> Columns:
    return _scaled(program, columns, subtract=estimator.center_, divide=estimator.scale_)


def _scaled(
    program: Program, columns: Columns, bounds: tuple[float, float] | None = None, **values: Any
) -> Columns:
    """Scale columns, and clip them to `bounds` in the same step.

    So a number that is too large before clipping is fine after it.
    """
    if all(value is None for value in values.values()):
        program.numbers(columns)
        return columns
    if bounds:
        values["minimum"], values["maximum"] = (np.full(len(columns), bound) for bound in bounds)
    return program.add("scale", program.numbers(columns), foldable=bounds is None, **values)


SMALLEST_NORM = 10 * float(np.finfo(np.float64).eps)  # dense rows; sparse ones are divided by any but 0


def normalizer(program: Program, estimator: Normalizer, columns: Columns) -> Columns:
    indices = program.numbers(columns)
    smallest = None if _are_sparse(columns) else SMALLEST_NORM
    return program.add("normalize", indices, width=len(indices), norm=estimator.norm, smallest=smallest)


def k_bins_discretizer(program: Program, estimator: KBinsDiscretizer, columns: Columns) -> Columns:
    if estimator.dtype not in (None, np.float64):
        raise Unsupported("it bins in float32; fit it with dtype=None")
    indices = program.numbers(columns)
    edges = [known[1:-1].tolist() for known in estimator.bin_edges_]
    several = [i for i, inner in enumerate(edges) if inner]
    binned = iter(program.add("bins", [indices[i] for i in several], edges=[edges[i] for i in several]))
    single = program.add("constant", [], width=1, values=np.zeros(1)) if len(several) < len(edges) else []
    made = [next(binned) if inner else single[0] for inner in edges]
    if estimator.encode == "ordinal":
        return made
    sizes = [int(n) for n in estimator.n_bins_]
    return program.add("one_hot", [column.index for column in made], width=sum(sizes), sizes=sizes)


def polynomial_features(program: Program, estimator: PolynomialFeatures, columns: Columns) -> Columns:
    """Multiply degree by degree: each product has one factor of one degree less, and one column."""
    degree = estimator.degree
    lowest, highest = (0, degree) if isinstance(degree, int) else degree
    indices = program.numbers(columns)
    choose = combinations if estimator.interaction_only else combinations_with_replacement
    terms: dict[tuple[int, ...], int] = {(i,): index for i, index in enumerate(indices)}
    made: Columns = []
    if estimator.include_bias:
        made = program.add("constant", [], width=1, foldable=True, values=np.ones(1))
    if lowest <= 1 <= highest:
        made += columns
    for power in range(2, highest + 1):
        wanted = list(choose(range(len(indices)), power))
        right, left = [terms[term[1:]] for term in wanted], [terms[term[:1]] for term in wanted]
        products = program.add("product", left + right, width=len(wanted))
        terms |= {term: column.index for term, column in zip(wanted, products, strict=True)}
        made += products if power >= lowest else []
    return made


def quantile_transformer(program: Program, estimator: QuantileTransformer, columns: Columns) -> Columns:
    if not np.array_equal(estimator.references_, np.linspace(0, 1, len(estimator.quantiles_))):
        raise Unsupported("its references are not evenly spaced")
    if len(estimator.quantiles_) < 2:
        raise Unsupported("it has one quantile only")
    if _are_sparse(columns):
        _refuse_negatives(program, estimator, columns)
    return program.add(
        "quantiles",
        program.numbers(columns),
        quantiles=np.maximum.accumulate(estimator.quantiles_).T,
        distribution=estimator.output_distribution,
    )


def _refuse_negatives(program: Program, estimator: QuantileTransformer, columns: Columns) -> None:
    """Reject negative numbers in a sparse matrix, as scikit-learn does.

    In a sparse matrix zeros stay zeros. Without negative numbers, uniform ranks keep zeros too; other
    settings raise Unsupported.
    """
    uniform = estimator.output_distribution == "uniform" and not estimator.ignore_implicit_zeros
    if not uniform or any(program.may_be_missing(column) for column in columns):
        raise Unsupported(
            "in a sparse matrix it leaves zeros as they are, which a document cannot say; make what comes "
            "before it dense (sparse_output=False, sparse_threshold=0), and fit again"
        )
    roots = program.add("function", program.numbers(columns), name="sqrt")
    program.doubtful |= {root.index for root in roots}
    program.refuse_missing(roots)


def power_transformer(program: Program, estimator: PowerTransformer, columns: Columns) -> Columns:
    indices = program.numbers(columns)
    made = program.add("power", indices, method=estimator.method, lambdas=estimator.lambdas_)
    if estimator.method == "box-cox":
        program.doubtful |= {column.index for column in made}
    return standard_scaler(program, estimator._scaler, made) if estimator.standardize else made


def binarizer(program: Program, estimator: Binarizer, columns: Columns) -> Columns:
    edge = np.nextafter(np.float64(estimator.threshold), np.inf)  # x > threshold is x >= the next double
    return program.add("bins", program.numbers(columns), edges=np.full((len(columns), 1), edge))


def selector(program: Program, estimator: Any, columns: Columns) -> Columns:
    program.numbers(columns)
    return [column for column, chosen in zip(columns, estimator.get_support(), strict=True) if chosen]


FUNCTIONS: dict[Any, str] = {
    np.abs: "abs",
    np.fabs: "abs",
    np.sign: "sign",
    np.negative: "negative",
    np.floor: "floor",
    np.ceil: "ceil",
    np.trunc: "trunc",
    np.rint: "rint",
    np.square: "square",
    np.sqrt: "sqrt",
    np.cbrt: "cbrt",
    np.exp: "exp",
    np.exp2: "exp2",
    np.expm1: "expm1",
    np.log: "log",
    np.log2: "log2",
    np.log10: "log10",
    np.log1p: "log1p",
    np.sin: "sin",
    np.cos: "cos",
    np.tan: "tan",
    np.arcsin: "arcsin",
    np.arccos: "arccos",
    np.arctan: "arctan",
    np.sinh: "sinh",
    np.cosh: "cosh",
    np.tanh: "tanh",
    np.arcsinh: "arcsinh",
    np.arccosh: "arccosh",
    np.arctanh: "arctanh",
}


def function_transformer(program: Program, estimator: FunctionTransformer, columns: Columns) -> Columns:
    if estimator.validate:
        program.refuse_missing(columns)
    if estimator.func is None:
        return columns
    if not isinstance(estimator.func, np.ufunc) or estimator.func not in FUNCTIONS or estimator.kw_args:
        raise _unreadable(program, columns)
    if estimator.func is np.square and _are_sparse(columns):
        raise Unsupported("the square of a sparse matrix is its product with itself; make it dense")
    made = program.add("function", program.numbers(columns), name=FUNCTIONS[estimator.func])
    program.doubtful |= {column.index for column in made}  # e.g. the logarithm of a negative number
    return made


def _unreadable(program: Program, columns: Columns) -> Unsupported:
    for column in columns:
        if column.index in program.dates:
            name, way = program.names[column.index], program.dates[column.index]
            return Unsupported(
                "its function reads dates, for which a document has no form: make numbers of them before the "
                f"pipeline, such as X[{f'{name}_year'!r}] = {way}.year, leave {name!r} out, fit again, and "
                "send rows with the columns so made"
            )
    supported = ", ".join(f"np.{name}" for name in sorted(set(FUNCTIONS.values())))
    return Unsupported(
        f"its function has no name that a document can hold; those of numpy that do: {supported}; do "
        "anything else before the pipeline, and fit it on what comes out"
    )


TRANSFORMERS: dict[type, Transformer] = {
    Binarizer: binarizer,
    FunctionTransformer: function_transformer,
    KBinsDiscretizer: k_bins_discretizer,
    IterativeImputer: iterative_imputer,
    MaxAbsScaler: max_abs_scaler,
    MinMaxScaler: min_max_scaler,
    MissingIndicator: missing_indicator,
    Normalizer: normalizer,
    OneHotEncoder: one_hot_encoder,
    OrdinalEncoder: ordinal_encoder,
    PolynomialFeatures: polynomial_features,
    PowerTransformer: power_transformer,
    QuantileTransformer: quantile_transformer,
    RobustScaler: robust_scaler,
    SimpleImputer: simple_imputer,
    SplineTransformer: spline_transformer,
    StandardScaler: standard_scaler,
    TargetEncoder: target_encoder,
    TfidfTransformer: text.tfidf_of_numbers,
    **PROJECTIONS,
    **text.VECTORIZERS,
    **dict.fromkeys(
        (
            feature_selection.GenericUnivariateSelect,
            feature_selection.RFE,
            feature_selection.RFECV,
            feature_selection.SelectFdr,
            feature_selection.SelectFpr,
            feature_selection.SelectFromModel,
            feature_selection.SelectFwe,
            feature_selection.SelectKBest,
            feature_selection.SelectPercentile,
            feature_selection.SequentialFeatureSelector,
            feature_selection.VarianceThreshold,
        ),
        selector,
    ),
}
