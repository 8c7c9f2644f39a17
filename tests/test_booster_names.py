"""A booster's document has the columns' names as people send them, however the trainer writes them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import orjson
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from tests.test_boosters import KINDS, save, thimble
from thimble.errors import ThimbleError
from thimble.inference.classifier import load
from thimble_model import export
from thimble_model.frames import as_batch

catboost = pytest.importorskip("catboost")
lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")
pytestmark = pytest.mark.filterwarnings("ignore")

NAMES: list[list[Any]] = [
    ["bill length", "bill_depth"],
    [" é ü", "b+c\t日本"],
    ["0", "1"],
    [3, 7],
    [("a", "b"), ("a", "c")],
    ['q"x', "a\\b"],
    ["a[0]", "{b:c,"],
]


def light() -> Any:
    return lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1)


def cat() -> Any:
    return catboost.CatBoostClassifier(
        iterations=3, depth=2, verbose=0, allow_writing_files=False, thread_count=1
    )


def voting(*members: Any) -> Any:
    return VotingClassifier([(str(k), one) for k, one in enumerate(members)], voting="soft")


def stacking(*members: Any) -> Any:
    return StackingClassifier([(str(k), one) for k, one in enumerate(members)], cv=2)


TRAIN: dict[str, Callable[[Any, Any], Any]] = {
    "LGBMClassifier": lambda X, y: light().fit(X, y),
    "lightgbm.Booster": KINDS["lightgbm"][0],
    "calibrated": lambda X, y: CalibratedClassifierCV(light(), cv=2).fit(X, y),
    "each": lambda X, y: OneVsRestClassifier(light()).fit(X, y),
    "voting": lambda X, y: voting(LogisticRegression(), light()).fit(X, y),
    "voting, another last": lambda X, y: voting(light(), LogisticRegression()).fit(X, y),
    "voting, one without names last": lambda X, y: voting(LogisticRegression(), light(), cat()).fit(X, y),
    "stacking": lambda X, y: stacking(LogisticRegression(), light()).fit(X, y),
    "nested": lambda X, y: CalibratedClassifierCV(voting(cat(), stacking(cat(), light())), cv=2).fit(X, y),
    "XGBClassifier": lambda X, y: xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(X, y),
    "xgboost.Booster": KINDS["xgboost"][0],
    "CatBoostClassifier": lambda X, y: cat().fit(X, y),
    "calibrated CatBoost": lambda X, y: CalibratedClassifierCV(cat(), cv=2).fit(X, y),
}


def data(names: list[Any]) -> tuple[pd.DataFrame, NDArray[Any]]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, len(names))), columns=names)
    return X, (X.iloc[:, 0] > 0).to_numpy(int)


def said(kind: str) -> dict[str, Any]:
    return {"classes": [0, 1]} if kind.endswith("Booster") else {}


@pytest.mark.parametrize("kind", TRAIN)
@pytest.mark.parametrize("names", NAMES, ids=repr)
def test_a_document_has_the_names_that_people_send(kind: str, names: list[Any]) -> None:
    X, y = data(names)
    try:
        estimator = TRAIN[kind](X, y)
    except (ValueError, lightgbm.basic.LightGBMError):  # which the trainer itself refuses
        assert set("".join(map(str, names))) & set('[]<{}:,"')
        return
    others = X.assign(other=y)  # a column that is no feature, and another order
    places = "CatBoost" in kind and names == ["0", "1"]  # which CatBoost calls columns without names, too
    for given in (X, X if places else others.iloc[:, ::-1]):
        classifier = load(export(estimator, given, **said(kind)))
        assert list(classifier.feature_names or ()) == [str(name) for name in names]
        batch = as_batch(classifier.features, X)
        found = classifier.predict(batch).outputs[0].probabilities[1]
        ask = (
            KINDS[kind.partition(".")[0]][1]
            if said(kind)
            else lambda one, rows: one.predict_proba(rows)[:, 1]
        )
        np.testing.assert_allclose(found, ask(estimator, X), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["LGBMClassifier", "voting", "lightgbm.Booster", "xgboost.Booster"])
def test_a_file_with_these_names_exports_and_checks(kind: str, tmp_path: Path) -> None:
    X, y = data(["bill length", "Gewicht é"])
    estimator = TRAIN[kind](X, y)
    classes = ("--classes", "0,1") if said(kind) else ()
    if said(kind):
        path = save(estimator, tmp_path / f"m{KINDS[kind.partition('.')[0]][2][0]}")
    else:
        joblib.dump(estimator, path := tmp_path / "m.joblib")
    rows, document = tmp_path / "rows.csv", tmp_path / "document.json"
    X.assign(answer=y).to_csv(rows, index=False)
    ended = thimble("export", str(path), *classes, "--data", str(rows), "-o", str(document))
    assert ended.exit_code == 0, ended.output
    assert orjson.loads(document.read_bytes())["feature_names_in"] == list(X.columns)
    checked = thimble("check", str(document), "--estimator", str(path), "--data", str(rows))
    assert checked.exit_code == 0, checked.output
    assert "60 rows: the same labels" in checked.stdout


def test_two_columns_that_lightgbm_writes_alike_are_refused() -> None:
    X, y = data(["bill length"])
    with pytest.raises(ThimbleError, match="'bill length' and 'bill_length' are both 'bill_length' to the e"):
        export(light().fit(X, y), X.assign(bill_length=1.0))


def test_an_ensemble_knows_a_column_as_its_last_member_does() -> None:
    X, y = data(["bill_length"])
    others = X.assign(**{"bill length": 1.0})
    loaded = load(export(voting(light(), LogisticRegression()).fit(X, y), others))
    assert loaded.feature_names == ("bill_length",)
    with pytest.raises(ThimbleError, match="are both 'bill_length' to the estimator"):
        export(voting(LogisticRegression(), light()).fit(X, y), others)


def test_a_column_that_is_lacking_is_named_as_the_estimator_knows_it() -> None:
    X, y = data(["bill length", "bill depth"])
    with pytest.raises(ThimbleError, match="X lacks the column 'bill_depth'"):
        export(light().fit(X, y), X[["bill length"]])
