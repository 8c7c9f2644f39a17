"""What scikit-learn accepts as rows, columns and labels: it exports, or a sentence says why not."""

from enum import Enum
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import pipeline
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from thimble.errors import shortened
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.fields import shown
from thimble.tables import rows
from thimble_model import Unsupported, export
from thimble_model.frames import as_batch

pytestmark = pytest.mark.filterwarnings("ignore")

RNG = np.random.default_rng(5)
N = 60
X = RNG.normal(size=(N, 2))
WHICH = RNG.integers(0, 2, N)


def assert_same(fitted: Any, given: Any, table: pd.DataFrame) -> Classifier:
    found = load(export(fitted, given))
    answers = found.predict(as_batch(found.features, table))
    assert not answers.rejected
    wanted = fitted.predict_proba(given if sparse.issparse(given) else table)
    np.testing.assert_allclose(answers.outputs[0].probabilities.T, wanted, rtol=0, atol=1e-12)
    return found


@pytest.mark.parametrize("null", [None, pd.NA], ids=["None", "NA"])
@pytest.mark.parametrize("strategy", ["most_frequent", "constant"])
@pytest.mark.parametrize(
    "after", ["passthrough", OneHotEncoder(), OrdinalEncoder(), StandardScaler()], ids=str
)
def test_booleans_with_gaps_are_imputed(null: Any, strategy: str, after: Any) -> None:
    flags = pd.Series([[True, False, null][i] for i in RNG.integers(0, 3, N)], dtype=object)
    table = pd.DataFrame({"flag": flags, "x": X[:, 0]})
    fill = False if strategy == "constant" else None
    imputer = SimpleImputer(missing_values=null, strategy=strategy, fill_value=fill)
    prepared = make_column_transformer((make_pipeline(imputer, after), ["flag"]), remainder="passthrough")
    fitted = make_pipeline(prepared, LogisticRegression()).fit(table, WHICH)
    found = assert_same(fitted, table, table)
    assert found.features[0][1:3] == ("boolean", True)
    values = rows.batch(found.schema, [{"flag": None, "x": 0.5}, {"flag": True, "x": 0.5}])
    answers = found.predict(values)
    assert not answers.rejected


@pytest.mark.parametrize(
    "kind", [sparse.csr_matrix, sparse.csc_matrix, sparse.coo_matrix, sparse.csr_array, sparse.lil_matrix]
)
@pytest.mark.parametrize("step", [MaxAbsScaler(), Normalizer(), StandardScaler(with_mean=False)], ids=str)
def test_sparse_training_data_exports(kind: Any, step: Any) -> None:
    dense = np.where(RNG.random((N, 4)) < 0.5, 0.0, RNG.normal(size=(N, 4)))
    given = kind(dense)
    fitted = make_pipeline(step, LogisticRegression()).fit(given, WHICH)
    assert_same(fitted, given, pd.DataFrame(dense))


def test_a_frame_of_sparse_columns_exports_with_its_names() -> None:
    dense = np.where(RNG.random((N, 3)) < 0.5, 0.0, RNG.normal(size=(N, 3)))
    table = pd.DataFrame(dense, columns=list("abc")).astype(pd.SparseDtype(float, 0.0))
    fitted = make_pipeline(MaxAbsScaler(), LogisticRegression()).fit(table, WHICH)
    assert assert_same(fitted, table, table).feature_names == ("a", "b", "c")


def test_quantiles_of_a_sparse_matrix_are_refused_with_a_way_out() -> None:
    given = sparse.csr_matrix(np.abs(X) * (RNG.random(X.shape) < 0.5))
    normal = QuantileTransformer(n_quantiles=9, output_distribution="normal")
    fitted = make_pipeline(SimpleImputer(), normal, LogisticRegression()).fit(given, WHICH)
    with pytest.raises(Unsupported, match=r"'quantiletransformer'.*leaves zeros as they are.*make .* dense"):
        export(fitted, given)


def test_uniform_quantiles_of_a_sparse_matrix_export_and_refuse_what_is_negative() -> None:
    given = sparse.csr_matrix(np.abs(X) * (RNG.random(X.shape) < 0.5))
    fitted = make_pipeline(SimpleImputer(), QuantileTransformer(n_quantiles=9), LogisticRegression())
    fitted.fit(given, WHICH)
    found = assert_same(fitted, given, pd.DataFrame(given.toarray()))
    strangers = [[0.0, 1e300], [-0.0, 5e-324], [-5e-324, 1.0], [0.0, -1.0]]
    rejected = found.predict(Batch.of(found.features, np.array(strangers).T)).rejected
    for i, row in enumerate(strangers):
        refused = False
        try:
            fitted.predict(sparse.csr_matrix([row]))
        except ValueError:
            refused = True
        assert (i in rejected) == refused


SCALERS = [
    StandardScaler(),
    StandardScaler(with_mean=False),
    StandardScaler(with_std=False),
    MinMaxScaler(),
    MinMaxScaler(clip=True),
    MaxAbsScaler(),
    RobustScaler(),
    QuantileTransformer(n_quantiles=7),
    QuantileTransformer(n_quantiles=7, output_distribution="normal"),
]


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("scaler", SCALERS, ids=str)
def test_a_column_that_was_empty_may_be_scaled_before_it_is_imputed(scaler: Any, keep: bool) -> None:
    table = pd.DataFrame({"x": X[:, 0], "empty": np.full(N, np.nan), "y": X[:, 1]})
    fitted = make_pipeline(scaler, SimpleImputer(keep_empty_features=keep), LogisticRegression())
    fitted.fit(table, WHICH)
    later = table.assign(empty=np.resize([np.nan, 0.0, 5.0, -1e300], N))
    for strangers in (table, later):
        found = load(export(fitted, table))
        answers = found.predict(as_batch(found.features, strangers))
        assert not answers.rejected
        wanted = fitted.predict_proba(strangers)
        np.testing.assert_allclose(answers.outputs[0].probabilities.T, wanted, rtol=0, atol=1e-9)


class Colour(str, Enum):  # noqa: UP042 - whose text is not its value
    RED, BLUE = "red", "blue"


class Text(str):
    pass


LABELS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "int8": (WHICH.astype(np.int8), (0, 1)),
    "uint64": (WHICH.astype(np.uint64) + np.uint64(2**64 - 2), (2**64 - 2, 2**64 - 1)),
    "negative and large": (np.array([-1, 2**63 - 1])[WHICH], (-1, 2**63 - 1)),
    "beyond a double's integers": (np.array([2**53 + 1, 3])[1 - WHICH], (3, 2**53 + 1)),
    "any letters": (np.array(["à", "\u65e5\u672c"])[WHICH], ("à", "\u65e5\u672c")),
    "float16": (WHICH.astype(np.float16), (0.0, 1.0)),
    "long double": (WHICH.astype(np.longdouble), (0.0, 1.0)),
    "booleans": (WHICH.astype(bool), (False, True)),
    "a list of booleans": ([bool(i) for i in WHICH], (False, True)),
    "numpy's texts": (np.array([np.str_("ab"[i]) for i in WHICH], object), ("a", "b")),
    "a subclass of str": (np.array([Text("ab"[i]) for i in WHICH], object), ("a", "b")),
    "an enumeration of texts": (np.array([list(Colour)[i] for i in WHICH], object), ("blue", "red")),
    "categories": (pd.Categorical(np.array(["x", "y"])[WHICH]), ("x", "y")),
    "categories of numbers": (pd.Series(pd.Categorical(WHICH)), (0, 1)),
    "pandas' strings": (pd.Series(np.array(["x", "y"])[WHICH], dtype="string"), ("x", "y")),
    "Arrow's strings": (pd.Series(np.array(["x", "y"])[WHICH], dtype="string[pyarrow]"), ("x", "y")),
    "an empty text": (np.array(["", "a"])[WHICH], ("", "a")),
}


@pytest.mark.parametrize(("y", "classes"), LABELS.values(), ids=LABELS)
def test_labels_of_any_kind_keep_their_values(y: Any, classes: tuple[Any, ...]) -> None:
    [found] = load(export(LogisticRegression().fit(X, y), X)).heads
    assert found.classes == classes
    assert [type(label) for label in found.classes] == [type(label) for label in classes]


REFUSED_LABELS = {
    "dates": (np.array(["2020-01-01", "2021-01-01"], "M8[ns]")[WHICH], "is a datetime64"),
    "days": (np.array(["2020-01-01", "2021-01-01"], "M8[D]")[WHICH], "is a datetime64"),
    "durations": (np.array([1, 2], "m8[ns]")[WHICH], "is a timedelta64"),
    "half a character": (np.array(["\ud800", "b"], object)[WHICH], "what JSON cannot"),
}


@pytest.mark.parametrize(("y", "reason"), REFUSED_LABELS.values(), ids=REFUSED_LABELS)
def test_labels_that_json_has_no_form_for_are_refused(y: Any, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        export(LogisticRegression().fit(X, y), X)


def test_a_class_of_another_library_is_named_with_its_module() -> None:
    theirs = type("Pipeline", (pipeline.Pipeline,), {"__module__": "cuml.pipeline"})
    scaler = type("StandardScaler", (StandardScaler,), {"__module__": "cuml.preprocessing"})
    fitted = theirs([("model", LogisticRegression())]).fit(X, WHICH)
    with pytest.raises(Unsupported, match=r"^cuml\.pipeline\.Pipeline is not supported; .*Pipe"):
        export(fitted, X)
    fitted = make_pipeline(scaler(), LogisticRegression()).fit(X, WHICH)
    with pytest.raises(Unsupported, match=r"\(cuml\.preprocessing\.StandardScaler\) is not supported"):
        export(fitted, X)
    nested = ColumnTransformer([("a", theirs([("s", StandardScaler())]), [0])])
    with pytest.raises(Unsupported, match=r"'a' \(cuml\.pipeline\.Pipeline\) is not supported"):
        export(make_pipeline(nested, LogisticRegression()).fit(X, WHICH), X)


CITIES = ["Köln", "Bonn", "New York", "Zürich"]
LIKE = {
    "bonn": "it differs from 'Bonn' only in case",
    "BONN": "it differs from 'Bonn' only in case",
    " Bonn": "it differs from 'Bonn' only in spaces",
    "New  York": "it differs from 'New York' only in spaces",
    "New\u00a0York ": "it differs from 'New York' only in spaces",
    "Ko\u0308ln": "it differs from 'Köln' only in Unicode form",
    "\uff22onn": "it differs from 'Bonn' only in Unicode form",
    " ko\u0308LN": "it differs from 'Köln' only in case, spaces or Unicode form",
    "Berlin": "",
    "secret": "",
}


@pytest.mark.parametrize(("city", "likeness"), LIKE.items())
def test_a_category_that_is_nearly_known_is_said_to_be(city: str, likeness: str) -> None:
    table = pd.DataFrame({"city": np.resize(CITIES, N)})
    fitted = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(table, WHICH)
    found = load(export(fitted, table))
    [sentence] = found.predict(Batch.of(found.features, [[city]])).rejected.values()
    known = ", ".join(map(repr, sorted(CITIES)))
    assert sentence == f"city is not a category that the model knows ({known})" + (
        f"; {likeness}" if likeness else ""
    )
    assert city not in sentence


def test_of_many_categories_the_near_one_is_named_all_the_same() -> None:
    table = pd.DataFrame({"city": [f"City {i % 30}" for i in range(N)]})
    fitted = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(table, WHICH)
    model = load(export(fitted, table))
    found = model.predict(Batch.of(model.features, [["city 7", "City 7", "elsewhere"]]))
    near = "it differs from 'City 7' only in case"
    sentence = "city is not a category that the model knows"
    assert found.rejected == {0: f"{sentence}; {near}", 2: sentence}


def test_large_numbers_are_told_apart_in_a_sentence() -> None:
    stamps = [1_700_000_000_000_000_000, 1_700_000_000_000_000_256]
    table = pd.DataFrame({"t": np.resize(stamps, N)})
    fitted = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(table, WHICH)
    [sentence] = (
        load(export(fitted, table))
        .predict(Batch.of(load(export(fitted, table)).features, [np.array([5.0])]))
        .rejected.values()
    )
    assert sentence.endswith("(1.7e+18, 1.7000000000000003e+18)")


@pytest.mark.parametrize("most", range(4, 90))
def test_a_message_is_cut_between_words(most: int) -> None:
    text = "island is not a category that the model knows ('Biscoe', 'Dream'); say which, or train again"
    found = shortened(text, most)
    assert len(found) <= most
    kept = found.removesuffix("...")
    assert text.startswith(kept)
    assert found == text or not kept or text[len(kept)] in " ,;"


def test_a_value_of_a_document_is_cut_between_its_parts() -> None:
    assert shown([0.123456789] * 9) == "[0.123456789,0.123456789,0.123456789,0.123456789..."
    assert shown("a" * 100) == "..."


def test_an_imputer_that_fills_with_none_is_refused_with_a_way_out() -> None:
    X = pd.DataFrame({"number": np.arange(40.0), "nothing": [None] * 40})
    filled = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    prepared = ColumnTransformer([("n", StandardScaler(), ["number"]), ("k", filled, ["nothing"])])
    fitted = make_pipeline(prepared, LogisticRegression()).fit(X, np.arange(40) % 2)
    with pytest.raises(Unsupported, match=r"fills column .nothing. with None.*leave the column out"):
        export(fitted, X)
