"""Pipelines through the local stack: by name with nulls over HTTP, and as a CSV with empty cells."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
)

from tests.examples import EXAMPLES
from thimble_model import export

Starter = Callable[..., AbstractContextManager[Any]]


@dataclass(frozen=True)
class Served:
    """A pipeline, the rows that it was fitted on, and a local stack that serves its document."""

    pipeline: Any
    X: pd.DataFrame
    stack: Any

    @property
    def instances(self) -> list[dict[str, Any]]:
        """Objects, in JSON's own types, null where a value is missing, the last column first."""
        columns = {name: self.X[name].tolist() for name in self.X.columns[::-1]}
        absent = {name: self.X[name].isna().tolist() for name in columns}
        return [
            {name: None if absent[name][i] else column[i] for name, column in columns.items()}
            for i in range(len(self.X))
        ]


def nested() -> tuple[pd.DataFrame, Any, Any]:
    """Nests in nests, names that need quotes, a boolean, a remainder, columns chosen in several ways."""
    table, species, _ = EXAMPLES["penguins"]()
    table = table.rename(
        columns={"island": "Insel, groß", "bill_length_mm": "bill.length (mm)", "sex": 'the "sex"'}
    )
    table["heavy?"] = (table["body_mass_g"] > 4000).astype(bool)
    table["never looked at"] = "x"
    binned = KBinsDiscretizer(4, encode="onehot-dense", strategy="uniform")
    numbers = make_pipeline(
        SimpleImputer(strategy="mean", add_indicator=True),
        make_union(StandardScaler(), make_pipeline(MinMaxScaler(), PolynomialFeatures(2)), binned),
    )
    texts = FeatureUnion(
        [
            ("hot", OneHotEncoder(handle_unknown="ignore", sparse_output=False, drop="if_binary")),
            (
                "rank",
                OrdinalEncoder(
                    handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
                ),
            ),
        ]
    )
    inner = ColumnTransformer([("numbers", numbers, make_column_selector(dtype_include=np.number))])
    preparation = ColumnTransformer(
        [
            ("inner", inner, slice(1, 5)),
            ("texts", texts, ["Insel, groß", 'the "sex"']),
            ("gaps", MissingIndicator(features="all"), ['the "sex"']),
            ("none", "drop", ["never looked at"]),
        ],
        remainder="passthrough",
    )
    pipeline = make_pipeline(preparation, LogisticRegression(max_iter=2000))
    return table, species.eq("Adelie"), pipeline.fit(table, species.eq("Adelie"))


PIPELINES: dict[str, Callable[[], tuple[pd.DataFrame, Any, Any]]] = {
    "penguins": EXAMPLES["penguins"],
    "nested": nested,
}


@pytest.fixture(scope="module", params=PIPELINES)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, start_local_stack: Starter
) -> Iterator[Served]:
    X, y, pipeline = PIPELINES[request.param]()
    path = tmp_path_factory.mktemp("model") / "model.json"
    path.write_bytes(export(pipeline, X, y, name=request.param))
    with start_local_stack("--model", str(path)) as stack:
        yield Served(pipeline, X, stack)


def test_rows_by_name_with_nulls_are_answered_as_scikit_learn_answers_the_frame(served: Served) -> None:
    assert served.X.isna().any(axis=None)
    predictions = served.stack.classify(served.instances)
    assert_parity(
        served,
        [p["label"] for p in predictions],
        np.array([list(p["probabilities"].values()) for p in predictions]),
    )


def test_a_csv_with_empty_cells_is_answered_as_scikit_learn_answers_the_frame(
    served: Served, tmp_path: Path
) -> None:
    X = served.X[served.X.columns[::-1]]
    X.insert(0, "id", range(len(X)))
    X.to_csv(tmp_path / "rows.csv", index=False)
    result = pd.read_csv(served.stack.drop(tmp_path / "rows.csv") / "result.csv")
    assert result["id"].tolist() == list(range(len(X)))
    assert_parity(
        served,
        result["label"].tolist(),
        result[[name for name in result.columns if name.startswith("p_")]].to_numpy(),
    )


def test_both_doors_give_the_same_bits(served: Served, tmp_path: Path) -> None:
    predictions = served.stack.classify(served.instances)
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, served.instances)))
    lines = (served.stack.drop(tmp_path / "rows.jsonl") / "result.jsonl").read_text().splitlines()
    assert [json.loads(line)["probability"] for line in lines] == [p["probability"] for p in predictions]


@pytest.mark.filterwarnings("ignore:Found unknown categories")
def test_what_the_pipeline_does_not_know_is_rejected_by_name_or_answered_as_it_says(served: Served) -> None:
    island = next(name for name in served.X.columns if name in ("island", "Insel, groß"))
    row = served.instances[0] | {island: "Atlantis"}
    table = served.X.iloc[[0]].assign(**{island: "Atlantis"})
    try:
        expected = served.pipeline.predict_proba(table)
    except ValueError:
        with pytest.raises(HTTPError) as caught:
            served.stack.classify([row])
        with caught.value as refusal:
            assert refusal.code == 422
            sentence = json.load(refusal)["error"]
        assert sentence.startswith(f"instances[0]: {island} is not a category that the model knows (")
        assert "'Dream'" in sentence
        assert "Atlantis" not in sentence
    else:
        [prediction] = served.stack.classify([row])
        np.testing.assert_allclose(
            list(prediction["probabilities"].values()), expected[0], rtol=0, atol=1e-12
        )


def assert_parity(served: Served, labels: list[Any], probabilities: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(probabilities, served.pipeline.predict_proba(served.X), rtol=0, atol=1e-12)
    assert labels == served.pipeline.predict(served.X).tolist()
