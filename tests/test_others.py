"""Encoders and imputers of category_encoders and feature_engine answer in a document as they do."""

from typing import Any

import category_encoders as ce
import numpy as np
import pandas as pd
import pytest
from feature_engine import encoding, imputation
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from thimble.inference.classifier import load
from thimble_model import Unsupported, export
from thimble_model.frames import as_batch
from thimble_model.parity import parity

pytestmark = pytest.mark.filterwarnings("ignore")

N = 120


def table(seed: int, gaps: bool, odd: bool) -> pd.DataFrame:
    """Texts, numbers for categories, and numbers; `odd` has categories that training did not show."""
    rng = np.random.default_rng(seed)
    cities = ["Köln", "Bonn", "Ulm", "Jena", *(["nowhere"] if odd else [])]
    rows = pd.DataFrame(
        {
            "city": rng.choice(np.array(cities, object), N, p=None if odd else [0.5, 0.3, 0.15, 0.05]),
            "level": rng.integers(1, 7 if odd else 5, N),
            "age": rng.normal(40, 9, N).round(1),
            "sex": rng.choice(np.array(["f", "m"], object), N),
        }
    )
    rows.loc[0, "level"], rows.loc[1, "city"] = 1, "Köln"
    return rows.mask(rng.random(rows.shape) < 0.1) if gaps else rows


LABELS = np.arange(N) % 3
ENCODERS = (ce.OrdinalEncoder, ce.OneHotEncoder, ce.TargetEncoder, ce.CountEncoder)


@pytest.mark.parametrize("kind", ENCODERS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("unknown", ["value", "return_nan", "error"])
@pytest.mark.parametrize("cols", [None, ["city", "level", "sex"]], ids=str)
def test_encoders_of_category_encoders_export(kind: Any, gaps: bool, unknown: str, cols: Any) -> None:
    rows, labels = table(1, gaps, odd=False), LABELS % 2
    encoder = kind(cols=cols, handle_unknown=unknown)
    fitted = make_pipeline(encoder, SimpleImputer(), LogisticRegression()).fit(rows, labels)
    classifier = load(export(fitted, rows, labels))
    others = table(2, gaps, odd=unknown != "error")
    assert parity(classifier, fitted, others).holds
    if unknown == "error" and kind is not ce.CountEncoder:
        found = classifier.predict(as_batch(classifier.features, others[:1].assign(city="nowhere")))
        assert "city is not a category that the model knows" in found.rejected[0]


OF_FEATURE_ENGINE: dict[str, Any] = {
    "mean": lambda: imputation.MeanMedianImputer("mean"),
    "median": lambda: imputation.MeanMedianImputer(),
    "arbitrary": lambda: imputation.ArbitraryNumberImputer(-7),
    "texts": lambda: make_pipeline(
        imputation.CategoricalImputer(), imputation.MeanMedianImputer(), encoding.OrdinalEncoder("arbitrary")
    ),
    "rare": lambda: encoding.RareLabelEncoder(0.2, 2, variables=["city", "sex"], missing_values="ignore"),
    "counts": lambda: encoding.CountFrequencyEncoder(missing_values="ignore", unseen="encode"),
    "frequencies": lambda: encoding.CountFrequencyEncoder("frequency", missing_values="ignore"),
    "means": lambda: encoding.MeanEncoder(missing_values="ignore", unseen="encode"),
    "ordered": lambda: encoding.OrdinalEncoder(missing_values="ignore", unseen="encode"),
    "one hot": lambda: make_pipeline(imputation.CategoricalImputer(), encoding.OneHotEncoder()),
    "the commonest": lambda: make_pipeline(
        imputation.CategoricalImputer(), encoding.OneHotEncoder(top_categories=2)
    ),
    "rare ones, then columns": lambda: make_pipeline(
        imputation.CategoricalImputer(), encoding.RareLabelEncoder(0.2, 2), encoding.OneHotEncoder()
    ),
    "rare ones, then targets": lambda: make_pipeline(
        imputation.CategoricalImputer(), encoding.RareLabelEncoder(0.2, 2), ce.TargetEncoder()
    ),
}


@pytest.mark.parametrize("build", OF_FEATURE_ENGINE.values(), ids=OF_FEATURE_ENGINE)
def test_encoders_and_imputers_of_feature_engine_export(build: Any) -> None:
    rows = table(3, gaps=True, odd=False)
    after = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), lambda made: made.select_dtypes(exclude="number").columns),
        (make_pipeline(SimpleImputer(), StandardScaler()), lambda made: made.select_dtypes("number").columns),
    )
    fitted = make_pipeline(build(), after, LogisticRegression()).fit(rows, pd.Series(LABELS % 2))
    classifier = load(export(fitted, rows, LABELS % 2))
    others = table(4, gaps=True, odd=True)
    assert parity(classifier, fitted, others).holds


def test_a_rare_text_and_one_never_seen_are_the_same_to_what_comes_after() -> None:
    rows = table(5, gaps=False, odd=False)
    rare = encoding.RareLabelEncoder(0.2, 2, variables=["city"])
    columns = make_column_transformer((make_pipeline(rare, OneHotEncoder()), ["city"]))
    fitted = make_pipeline(columns, LogisticRegression()).fit(rows, LABELS)
    classifier = load(export(fitted, rows, LABELS))
    seldom = rows[:4].assign(city=["Jena", "nowhere", "Rare", "Köln"])
    found = classifier.predict(as_batch(classifier.features, seldom)).outputs[0].probabilities
    assert found[:, 0].tobytes() == found[:, 1].tobytes() == found[:, 2].tobytes()
    assert parity(classifier, fitted, seldom).holds
    assert not classifier.features[0].missing  # as missing_values="raise" says


choices = st.one_of(
    st.builds(ce.OrdinalEncoder, handle_missing=st.sampled_from(["value", "return_nan"])),
    st.builds(
        ce.OneHotEncoder, use_cat_names=st.booleans(), handle_unknown=st.sampled_from(["value", "indicator"])
    ),
    st.builds(ce.TargetEncoder, smoothing=st.sampled_from([1.0, 20.0])),
    st.builds(ce.CountEncoder, normalize=st.booleans(), min_group_size=st.sampled_from([None, 10])),
    st.builds(encoding.RareLabelEncoder, st.sampled_from([0.1, 0.3]), st.just(2)),
    st.builds(encoding.CountFrequencyEncoder, unseen=st.just("encode")),
    st.builds(encoding.OneHotEncoder, drop_last=st.booleans()),
)


@settings(deadline=None, max_examples=25)
@given(choices, st.lists(st.sampled_from(["city", "sex"]), min_size=1, unique=True), st.integers(0, 99))
def test_any_of_them_within_a_column_transformer_exports(encoder: Any, chosen: list[str], seed: int) -> None:
    rows = table(seed, gaps=False, odd=False)
    after = make_pipeline(clone(encoder), OneHotEncoder(handle_unknown="ignore", max_categories=9))
    columns = make_column_transformer((after, chosen), (StandardScaler(), ["age"]))
    fitted = make_pipeline(columns, LogisticRegression()).fit(rows, pd.Series(LABELS % 2))
    classifier = load(export(fitted, rows, LABELS % 2))
    assert parity(classifier, fitted, table(seed + 1, gaps=False, odd=False)).holds


def test_columns_put_together_are_refused_with_what_to_do() -> None:
    rows = table(6, gaps=False, odd=False)
    encoder = ce.TargetEncoder(cols=["city", "sex"], composite_cols=[("city", "sex")])
    fitted = make_pipeline(encoder, LogisticRegression()).fit(rows, LABELS % 2)
    with pytest.raises(Unsupported, match="before the pipeline"):
        export(fitted, rows, LABELS % 2)
