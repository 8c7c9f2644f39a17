"""Fitted transformers as steps of the document's preprocessing.

Each function takes the program, the estimator and the columns that it reads, and gives the columns that it
makes. Affine ones are marked foldable: they may go into the network's first layer. Nothing is approximated:
what has no exact form is refused, with its place in the pipeline.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations, combinations_with_replacement, count
from typing import Any

import numpy as np
from sklearn import feature_selection
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.impute import MissingIndicator, SimpleImputer
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
    StandardScaler,
)
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from thimble_model import catalogue
from thimble_model.forms import is_na, require_plain
from thimble_model.frames import beside, known_names, pandas
from thimble_model.program import Code, Column, Program, is_null
from thimble_model.projections import PROJECTIONS
from thimble_model.sparsity import makes_sparse
from thimble_model.unsupported import Unsupported, class_name, names
from thimble_model.wrappers import through

Columns = list[Column]
Transformer = Callable[[Program, Any, Columns], Columns]


def transform(program: Program, estimator: Any, columns: Columns, place: tuple[str, ...] = ()) -> Columns:
    """What a transformer, or a nest of them, makes of the columns."""
    if estimator is None or isinstance(estimator, str):
        return [] if estimator == "drop" else columns
    made = _made(program, estimator, columns, place)
    sparse = makes_sparse(estimator, _are_sparse(columns))
    return [replace(column, sparse=sparse) for column in made]


def _are_sparse(columns: Columns) -> bool:
    return any(column.sparse for column in columns)


def _made(program: Program, estimator: Any, columns: Columns, place: tuple[str, ...]) -> Columns:
    if found := through(estimator):
        for name, step in found.steps:
            columns = transform(program, step, columns, (*place, name))
        return transform(program, found.last, columns, found.place(place))
    if type(estimator) in NESTS:
        return NESTS[type(estimator)](program, estimator, columns, place)
    if type(estimator) not in TRANSFORMERS:
        known = [kind.__name__ for kind in (*TRANSFORMERS, *NESTS)]
        raise unsupported(estimator, place, [*known, "Pipeline"], catalogue.TRANSFORMERS)
    try:
        check_is_fitted(estimator)
        if not get_tags(estimator).input_tags.allow_nan and not get_tags(estimator).no_validation:
            program.refuse_missing(
                [column for column in columns if not _takes_none(program, estimator, column)]
            )
        return TRANSFORMERS[type(estimator)](program, estimator, columns)
    except NotFittedError:
        raise Unsupported(f"{located(estimator, place)} is not fitted") from None
    except Unsupported as error:
        raise Unsupported(f"{located(estimator, place)}: {error}") from None


def unsupported(
    estimator: Any, place: Sequence[str], known: Sequence[str], lines: Mapping[str, catalogue.Line]
) -> Unsupported:
    """The refusal of a class that is not ours; a known name of another library comes with its module."""
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
    """None in a column of objects is no NaN to scikit-learn; a computed column has only NaN."""
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
    """In one step with its bounds: what is too large before them is not so after them."""
    if all(value is None for value in values.values()):
        program.numbers(columns)
        return columns
    if bounds:
        values["minimum"], values["maximum"] = (np.full(len(columns), bound) for bound in bounds)
    return program.add("scale", program.numbers(columns), foldable=bounds is None, **values)


SMALLEST_NORM = 10 * float(np.finfo(np.float64).eps)  # of a dense row; a sparse one's is divided by any but 0


def normalizer(program: Program, estimator: Normalizer, columns: Columns) -> Columns:
    indices = program.numbers(columns)
    smallest = None if _are_sparse(columns) else SMALLEST_NORM
    return program.add("normalize", indices, width=len(indices), norm=estimator.norm, smallest=smallest)


def simple_imputer(program: Program, estimator: SimpleImputer, columns: Columns) -> Columns:
    fills = _fills(program, estimator, columns)
    if _is_missing_value(estimator.missing_values):
        for column in columns:
            program.settle_null(column, estimator.missing_values)
    numeric = [column for column, fill in fills if not isinstance(fill, str)]
    values = np.array([fill for _, fill in fills if not isinstance(fill, str)], dtype=np.float64)
    absent = None if _is_missing_value(estimator.missing_values) else estimator.missing_values
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
    """The columns with what they are filled with, as the values that scikit-learn puts in."""
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
    return Column(column.index, (*column.replaced, (absent, fill)))


def _is_missing_value(value: Any) -> bool:
    return is_na(value) or is_null(value)


def missing_indicator(program: Program, estimator: MissingIndicator, columns: Columns) -> Columns:
    if estimator.features == "missing-only" and estimator.error_on_new:
        others = set(range(len(columns))) - set(estimator.features_.tolist())
        if _is_missing_value(estimator.missing_values):
            program.refuse_missing([columns[i] for i in others])
        elif others:
            raise Unsupported("error_on_new=True with other missing_values than NaN; set error_on_new=False")
    if not _is_missing_value(estimator.missing_values):
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
        wanted = None if _is_missing_value(missing) else missing if is_text else float(missing)
        keys = [wanted, *(before for before, _ in column.replaced)]
        table = {key: float(column.seen(key) == wanted) if is_text else 1.0 for key in keys}
        made.append(program.tabled(column, table, 0.0))
    return made


def one_hot_encoder(program: Program, estimator: OneHotEncoder, columns: Columns) -> Columns:
    sizes = _one_hot_sizes(estimator)
    starts = np.cumsum([0, *sizes]).tolist()
    codes = [
        _encoded(program, estimator, columns, j, partial(_position, start=starts[j], end=starts[j + 1]))
        for j in range(len(columns))
    ]
    return program.add("one_hot", [code.index for code in codes], width=sum(sizes), sizes=sizes)


def _one_hot_sizes(estimator: OneHotEncoder) -> list[int]:
    """How many columns each column becomes."""
    dropped = [None] * len(estimator.categories_) if estimator.drop_idx_ is None else estimator.drop_idx_
    groups = getattr(estimator, "infrequent_categories_", None) or [None] * len(estimator.categories_)
    return [
        len(categories) - (0 if group is None else len(group) - 1) - (0 if drop is None else 1)
        for categories, group, drop in zip(estimator.categories_, groups, dropped, strict=True)
    ]


def _position(row: Any, start: int, end: int) -> float:
    """Which of the columns has the one; -1 if none has."""
    ones = np.flatnonzero(row[start:end])
    return float(ones[0]) if len(ones) else -1.0


def ordinal_encoder(program: Program, estimator: OrdinalEncoder, columns: Columns) -> Columns:
    return [_encoded(program, estimator, columns, j, partial(_entry, j)) for j in range(len(columns))]


def _entry(j: int, row: Any) -> float:
    return float(row[j])


def _encoded(
    program: Program, estimator: Any, columns: Columns, j: int, read: Callable[[Any], float]
) -> Column:
    require_plain(program.describe(columns[j]), estimator.categories_[j])
    categories = [
        category.item() if isinstance(category, np.generic) else category
        for category in estimator.categories_[j].tolist()
    ]
    present = [category for category in categories if not _is_missing_value(category)]
    strings = all(isinstance(category, str) for category in present)
    booleans = bool(present) and all(isinstance(category, bool) for category in present)
    if len(categories) - len(present) > 1:
        raise Unsupported(f"{program.describe(columns[j])} knows None and NaN as two categories")
    if not present and program.is_feature(columns[j]):
        strings = program.types[columns[j].index] == "text"
    program.settle(columns[j], "text" if strings else "boolean" if booleans else "number")
    if not strings and not all(_is_exact(category) for category in present):
        raise Unsupported(f"{program.describe(columns[j])} has a category that no double holds exactly")
    null = next((category for category in categories if _is_missing_value(category)), np.nan)
    odd: Any = _none_of(present, "\x00 {}".format if strings else (0.5).__add__)

    def ask(values: list[Any]) -> list[Code]:
        return _ask(estimator, j, [null if value is None else value for value in values], read)

    return program.encode(columns[j], categories, ask, null, odd)


def _none_of(categories: list[Any], candidate: Callable[[int], Any]) -> Any:
    """The first candidate that is no category; a sum may round to one."""
    known = set(categories)
    return next(value for value in map(candidate, count()) if value not in known)


def _is_exact(category: Any) -> bool:
    return isinstance(category, bool | int | float) and int(float(category) // 1) == category // 1


def _ask(estimator: Any, j: int, values: list[Any], read: Callable[[Any], float]) -> list[Code]:
    """What the encoder itself makes of values in column j; None where it refuses them all."""
    if not values:
        return []
    fixed = [categories.tolist()[0] for categories in estimator.categories_]
    columns = [
        np.array(values if k == j else [category] * len(values), _dtype(estimator.categories_[k]))
        for k, category in enumerate(fixed)
    ]
    known = known_names(estimator)
    rows = pandas().DataFrame(dict(zip(known, columns, strict=True))) if known else beside(columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            encoded = estimator.transform(rows)
        except ValueError:
            return [None] * len(values)
    encoded = encoded.toarray() if hasattr(encoded, "toarray") else np.asarray(encoded)
    return [read(row) for row in encoded]


def _dtype(categories: Any) -> Any:
    return np.float64 if categories.dtype.kind in "iuf" else object


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
    """Degree by degree: every product is of one of a degree less and of a column."""
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
    """In a sparse matrix zeros stay zeros, as they do anywhere among uniform ranks where nothing is negative;
    what is, scikit-learn refuses."""
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
    edge = np.nextafter(np.float64(estimator.threshold), np.inf)  # x > threshold is x >= the double after it
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
        supported = ", ".join(f"np.{name}" for name in sorted(set(FUNCTIONS.values())))
        raise Unsupported(
            f"its function has no name that a document can hold; those of numpy that do: {supported}"
        )
    if estimator.func is np.square and _are_sparse(columns):
        raise Unsupported("the square of a sparse matrix is its product with itself; make it dense")
    made = program.add("function", program.numbers(columns), name=FUNCTIONS[estimator.func])
    program.doubtful |= {column.index for column in made}  # the logarithm of a negative number
    return made


TRANSFORMERS: dict[type, Transformer] = {
    Binarizer: binarizer,
    FunctionTransformer: function_transformer,
    KBinsDiscretizer: k_bins_discretizer,
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
    StandardScaler: standard_scaler,
    **PROJECTIONS,
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
