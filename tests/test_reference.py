"""What a document keeps of its training data: counts that fit the data, checked when it is read."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, Perceptron, SGDClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from tests.examples import EXAMPLES
from thimble.errors import InvalidModel
from thimble.inference.classifier import load
from thimble.inference.reference import Categories, Numbers, Reference
from thimble_model import export

ROOT = Path(__file__).parent.parent
PENGUINS: dict[str, Any] = json.loads((ROOT / "model/penguins.json").read_bytes())


def exported(estimator: Any, X: Any, y: Any) -> Reference:
    found = load(export(estimator.fit(X, y), X, y)).reference
    assert found is not None
    return found


def one_column(values: Any) -> Numbers:
    X = pd.DataFrame({"x": values, "y": np.arange(len(values)) % 2})
    found = exported(LogisticRegression(), X, X["y"]).features[0]
    assert isinstance(found, Numbers)
    return found


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_committed_documents_count_their_training_data(name: str) -> None:
    X, _, _ = EXAMPLES[name]()
    found = load((ROOT / f"model/{name}.json").read_bytes()).reference
    assert found is not None
    assert found.rows == len(X)
    for k, column in enumerate(X.columns):
        feature = found.features[k]
        assert feature is not None
        assert feature.missing == X[column].isna().sum()
        if name == "messages" and isinstance(feature, Numbers):  # its lengths, empty texts apart
            counts, _ = np.histogram(X[column].str.len(), feature.edges)
            assert feature.counts.tolist() == counts.tolist()
        elif isinstance(feature, Numbers):
            counts, _ = np.histogram(X[column].dropna(), feature.edges)
            if len(counts) > 1 or feature.edges[0] < feature.edges[1]:
                assert feature.counts.tolist() == counts.tolist()
            assert feature.edges[[0, -1]].tolist() == [X[column].min(), X[column].max()]
        else:
            expected = X[column].value_counts()
            assert dict(zip(feature.names, feature.counts.tolist(), strict=True)) == expected.to_dict()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_reference_of_the_predictions_is_of_what_the_model_answers(name: str) -> None:
    X, _, estimator = EXAMPLES[name]()
    found = load((ROOT / f"model/{name}.json").read_bytes()).reference
    assert found is not None
    labels = estimator.predict(X)
    assert found.outputs[0].classes.tolist() == [(labels == c).sum() for c in estimator.classes_]
    winning, _ = np.histogram(estimator.predict_proba(X).max(axis=1), np.arange(11) / 10)
    assert found.outputs[0].winning.counts.tolist() == winning.tolist()


def test_numbers_are_parted_in_tenths() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    found = one_column(values)
    assert len(found.edges) == 11
    assert found.counts.tolist() == [100] * 10


def test_a_value_that_fills_most_rows_has_a_bin_of_its_own() -> None:
    """Of nothing but deciles, a column that is mostly zero would be one bin, which nothing can leave."""
    values = np.where(np.arange(1000) < 950, 0.0, np.arange(1000))
    found = one_column(values)
    assert found.counts.tolist() == [950, 50]


def test_few_distinct_numbers_have_a_bin_each() -> None:
    assert one_column([1, 2, 2, 5] * 10).counts.tolist() == [10, 20, 10]
    assert one_column([True, False, True, True]).counts.tolist() == [1, 3]
    assert one_column([7.0] * 6).edges.tolist() == [7.0, 7.0]


def test_edges_have_no_more_digits_than_tell_values_apart() -> None:
    assert one_column([1.2345678, 1.7654321] * 4).edges.tolist() == [1.2345678, 1.5, 1.7654321]
    large = 1_700_000_000.0
    assert len(one_column(large + np.arange(1000)).edges) == 11
    tiny = np.nextafter(1.0, 2.0)
    assert one_column([1.0, tiny] * 4).edges.tolist() == [1.0, tiny]  # no number between them


def test_rare_texts_are_counted_together() -> None:
    texts = [f"city {i:02}" for i in range(30) for _ in range(40 - i)]
    X = pd.DataFrame({"city": texts, "n": np.arange(len(texts))})
    encoded = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["city"]), remainder="drop"), LogisticRegression()
    )
    found = exported(encoded, X, X["n"] % 2)
    city, unused = found.features
    assert isinstance(city, Categories)
    assert city.names == tuple(f"city {i:02}" for i in range(20))
    assert city.other == sum(40 - i for i in range(20, 30))
    assert unused is None


def test_several_outputs_labels_and_scores_have_a_reference_too() -> None:
    X, y, _ = EXAMPLES["iris"]()
    both = pd.DataFrame({"species": y, "size": np.where(X.iloc[:, 0] > 5.8, "large", "small")})
    several = exported(MultiOutputClassifier(LogisticRegression(max_iter=1000)), X, both)
    assert [len(output.classes) for output in several.outputs] == [3, 2]
    labels = np.column_stack([X.iloc[:, 0] > 5.8, X.iloc[:, 1] > 3]).astype(int)
    multilabel = exported(MLPClassifier((4,), max_iter=3000, random_state=0), X, labels)
    assert multilabel.outputs[0].classes.max() <= 150
    scores = exported(Perceptron(), X, y)
    assert scores.outputs[0].winning.counts.sum() == 150
    assert len(scores.outputs[0].winning.edges) == 11


def test_a_thousand_features_stay_small_and_more_are_not_watched() -> None:
    X = np.random.default_rng(0).normal(size=(300, 1003))
    data = export(SGDClassifier().fit(X, np.arange(300) % 2), X)
    [line] = [line for line in data.splitlines() if line.startswith(b'"reference"')]
    assert len(line) < 200_000
    found = load(data).reference
    assert found is not None
    assert found.features[1000:] == (None,) * 3


def test_without_training_data_there_is_no_reference() -> None:
    X, y, _ = EXAMPLES["iris"]()
    data = export(LogisticRegression(max_iter=1000).fit(X, y))
    assert load(data).reference is None
    assert load(json.dumps({**PENGUINS, "reference": None}).encode()).reference is None


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ((), 3, "reference is not an object"),
        (("rows",), -1, "reference.rows is -1, not a count"),
        (("rows",), 345, "reference.features[0] counts 344 rows; reference.rows is 345"),
        (("more",), 1, 'reference."more" is not a key of reference'),
        (("features",), [], "reference.features is empty"),
        (("features",), [None], "reference.features has 1 entries; the model has 6 features"),
        (("features", 1), 5, "reference.features[1] is not an object"),
        (("features", 1), {}, "reference.features[1].edges is missing"),
        (("features", 0, "edges"), [1], 'reference.features[0]."edges" is not a key of a text\'s counts'),
        (("features", 1, "edges", 0), 99, "reference.features[1].edges[1] is not above the edge before it"),
        (("features", 1, "edges", 2), None, "reference.features[1].edges[2] is not a number"),
        (("features", 1, "edges"), [1], "reference.features[1].edges has 1 numbers; 2 to 65 are needed"),
        (("features", 1, "counts", 3), 1.5, "reference.features[1].counts[3] is 1.5, not a count"),
        (("features", 1, "counts"), [344], "reference.features[1].counts has 1 counts for 10 bins"),
        (("features", 1, "missing"), True, "reference.features[1].missing is true, not a count"),
        (("features", 0, "categories", 1), "Biscoe", "reference.features[0].categories[1]"),
        (("features", 0, "categories", 1), 7, "reference.features[0].categories[1] is 7"),
        (("features", 0, "other"), 1, "reference.features[0] counts 345 rows"),
        (("outputs",), [], "reference.outputs is empty"),
        (("outputs", 0, "classes"), [344, 0], "reference.outputs[0].classes has 2 counts for 3 classes"),
        (("outputs", 0, "classes", 0), 0, "reference.outputs[0].classes counts"),
        (("outputs", 0, "winning", "missing"), 1, "reference.outputs[0].winning counts 345 rows"),
    ],
)
def test_a_wrong_reference_is_refused_with_its_path(path: Any, value: Any, message: str) -> None:
    document = deepcopy(PENGUINS)
    at: Any = document
    keys: list[Any] = ["reference", *path]
    for key in keys[:-1]:
        at = at[key]
    at[keys[-1]] = value
    with pytest.raises(InvalidModel) as raised:
        load(json.dumps(document).encode())
    assert str(raised.value).startswith(message)
