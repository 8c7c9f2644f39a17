"""Why generated pipelines answer as they do, and what would change it: laid beside their answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from tests.test_preprocessing_parity import (
    NUMBERS,
    classifiers,
    column_transformers,
    fit,
    fits,
    frame,
    numeric_branches,
    pipelines,
)
from thimble.errors import InvalidInput
from thimble.inference.asked import ALL, Asked
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.inference.explain import back, what_if
from thimble.inference.head import Head
from thimble.tables.card import abilities
from thimble_model import Unsupported, export
from thimble_model.frames import as_batch

pytestmark = pytest.mark.filterwarnings("ignore")

Floats = NDArray[np.float64]
ROWS = 12

lasts = st.one_of(
    st.builds(LogisticRegression, max_iter=st.just(20)),
    st.builds(GaussianNB, var_smoothing=st.just(1e-2)),
    st.builds(BernoulliNB, binarize=st.sampled_from([0.0, 0.5])),
    st.builds(NearestCentroid),
    st.builds(OneVsRestClassifier, st.just(LogisticRegression(max_iter=20))),
    st.builds(DecisionTreeClassifier, max_depth=st.sampled_from([1, 4])),
    st.builds(RandomForestClassifier, n_estimators=st.just(4), max_depth=st.just(4)),
    st.builds(ExtraTreesClassifier, n_estimators=st.just(3), max_depth=st.just(3)),
    st.builds(GradientBoostingClassifier, n_estimators=st.just(3), max_depth=st.just(2)),
    st.builds(HistGradientBoostingClassifier, max_iter=st.just(3), min_samples_leaf=st.just(5)),
    st.builds(
        CalibratedClassifierCV,
        st.sampled_from([LinearSVC(), GradientBoostingClassifier(n_estimators=2)]),
        method=st.sampled_from(["sigmoid", "temperature"]),
        ensemble=st.booleans(),
        cv=st.just(2),
    ),
    st.builds(
        VotingClassifier,
        st.sampled_from(
            [
                [("one", LogisticRegression(max_iter=20))],
                [("one", RandomForestClassifier(2)), ("two", DecisionTreeClassifier(max_depth=2))],
            ]
        ),
        voting=st.just("soft"),
    ),
    classifiers,
)


@st.composite
def explained_pipelines(draw: st.DrawFn) -> tuple[Any, str]:
    """Any of the generated pipelines; or numbers alone, or columns of all kinds, before what is explained."""
    kind = draw(st.sampled_from(["any", "numbers", "columns"]))
    if kind == "any":
        found: tuple[Any, str] = draw(pipelines())
        return found
    null = np.nan
    first = draw(numeric_branches()) if kind == "numbers" else draw(column_transformers(null, depth=0))
    return make_pipeline(first, draw(lasts)), "numbers" if kind == "numbers" else "object"


class Trained(NamedTuple):
    classifier: Classifier
    table: pd.DataFrame  # the training rows
    new: pd.DataFrame  # rows that it takes


def trained(case: tuple[Any, str], seed: int, n_classes: int, missing: float) -> Trained | None:
    """None where scikit-learn or the exporter refuses."""
    estimator, dtype = case
    alone = dtype == "numbers"
    found = fit(
        Numbers(estimator) if alone else estimator, seed, n_classes, missing, "object" if alone else dtype
    )
    if found is None:
        return None
    fitted, table = found
    if alone:
        fitted, table = fitted.estimator, table[list(NUMBERS)]
    try:
        classifier = load(export(fitted, table))
    except Unsupported:  # the parity of these pipelines is tested beside their generator
        return None
    new = frame(np.random.default_rng(seed + 1), ROWS, 0.15, "object" if alone else dtype, odd=True)
    new = new[list(table)]
    new = new[fits(classifier, new)]
    return Trained(classifier, table, new) if len(new) else None


class Numbers:
    """A pipeline that takes the numbers of the table alone."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        self.steps = estimator.steps

    def get_params(self) -> Any:
        return self.estimator.get_params()

    def fit(self, table: pd.DataFrame, y: Any) -> Numbers:
        self.estimator.fit(table[list(NUMBERS)], y)
        return self

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("predict") and name != "decision_function":
            raise AttributeError(name)
        method = getattr(self.estimator, name)
        return lambda table: method(table[list(NUMBERS)])


def batch_of(classifier: Classifier, table: pd.DataFrame) -> Batch:
    return as_batch(classifier.features, table)


def values_of(classifier: Classifier, table: pd.DataFrame) -> dict[int, Any]:
    """Of each answered row what it gets beside its label."""
    found = classifier.predict(batch_of(classifier, table))
    return {row: found.further[0][row] for row in range(len(table)) if row not in found.rejected}


def asked(classifier: Classifier, said: str, **options: Any) -> Classifier | None:
    """The model with a question; None where it refuses it, as its card says."""
    told = abilities(classifier.document, classifier.document.outputs[0])
    try:
        found = classifier.asking(Asked(**options))
    except InvalidInput as error:
        refusal = str(error)
    else:
        refusal = ""
    event(f"{said}: {refusal[:60] or 'answered'}")
    assert told["cannot"].get(said, "") == refusal
    assert (said in told["can"]) == (not refusal)
    return None if refusal else found


CASES = {
    "case": explained_pipelines(),
    "seed": st.integers(0, 2**32 - 1),
    "n_classes": st.integers(2, 4),
    "missing": st.sampled_from([0.0, 0.1]),
}
GENERATED = settings(max_examples=settings().max_examples // 4, suppress_health_check=list(HealthCheck))


@GENERATED
@given(**CASES)
def test_an_explanation_of_a_generated_pipeline_is_its_score(
    case: tuple[Any, str], seed: int, n_classes: int, missing: float
) -> None:
    found = trained(case, seed, n_classes, missing)
    if found is None:
        return
    classifier, _, new = found
    explaining = asked(classifier, "explain", explain=ALL)
    if explaining is None:
        return
    values = values_of(explaining, new)
    for value in values.values():
        require_sum(value)
    require_probabilities(classifier, new)
    require_unused(classifier, values.values())
    require_same_in_any_company(explaining, new, values, seed)
    require_largest(classifier, new, values)


def require_sum(value: Mapping[str, Any]) -> None:
    parts = [part["contribution"] for part in value["contributions"]]
    size = abs(value["base"]) + sum(map(abs, parts))
    assert abs(value["base"] + sum(parts) - value["score"]) <= 1e-9 * max(1.0, size)


def require_probabilities(classifier: Classifier, new: pd.DataFrame) -> None:
    """The scores of all classes give what is answered."""
    [head] = classifier.heads
    scores = []
    for of in head.texts:
        values = values_of(classifier.asking(Asked(explain=ALL, of=of)), new)
        scores.append([value["score"] for value in values.values()])
    shown = classifier.predict(batch_of(classifier, new)).outputs[0].probabilities[:, list(values)]
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(shown_of(head, np.array(scores)), shown, rtol=1e-9, atol=1e-9)


def shown_of(head: Head, scores: Floats) -> Floats:
    """What a head makes of scores, (classes, rows): the formula that model/README.md has."""
    if head.binary and head.out_activation == "identity" and head.has_probabilities:
        return np.array([1.0 + scores[0], scores[1]])
    activations = {
        "identity": lambda x: x,
        "logistic": expit,
        "softmax": lambda x: softmax(x, axis=0),
        "modified_huber": lambda x: (np.clip(x, -1, 1) + 1) / 2,
    }
    found: Floats = activations[head.out_activation](scores)
    if head.normalize:
        sums = found.sum(axis=0)
        found = np.where(sums == 0, 1 / len(found) if head.normalize == "uniform" else 0.0, found / sums)
    return found


def require_unused(classifier: Classifier, values: Any) -> None:
    """What the document calls unused is not told of; what has no weight adds nothing at all."""
    document = classifier.document
    used = {feature.name for feature in classifier.features if feature.type != "unused"}
    plan = back.plan(document, document.outputs[0])
    weighed = {owner for column in plan.columns.at.tolist() for owner in plan.owners[column]}
    weighed |= {owner for part in plan.grown for column in part.reads for owner in plan.owners[column]}
    weighed |= {owner for part in plan.embedded for c in part.step.columns for owner in plan.owners[c]}
    for value in values:
        assert {part["feature"] for part in value["contributions"]} == used
        for part in value["contributions"]:
            if list(classifier.feature_names or ()).index(part["feature"]) not in weighed:
                assert part["contribution"] == 0.0


def require_same_in_any_company(
    explaining: Classifier, new: pd.DataFrame, values: Mapping[int, Any], seed: int
) -> None:
    for row, value in values.items():
        alone = values_of(explaining, new.iloc[[row]])
        assert alone[0] == value
    order = np.random.default_rng(seed).integers(0, len(new), 700)
    shuffled = values_of(explaining, new.iloc[order])
    assert all(value == values[int(order[row])] for row, value in shuffled.items())


def require_largest(classifier: Classifier, new: pd.DataFrame, values: Mapping[int, Any]) -> None:
    few = values_of(classifier.asking(Asked(explain=2)), new)
    for row, value in values.items():
        largest, others = value["contributions"][:2], value["contributions"][2:]
        assert few[row]["contributions"] == largest
        assert few[row]["rest"] == sum(part["contribution"] for part in others)
        assert {key: few[row][key] for key in ("class", "score", "base")} == {
            key: value[key] for key in ("class", "score", "base")
        }


@GENERATED
@given(**CASES)
def test_no_smaller_change_of_a_generated_pipeline_s_row_flips_its_label(
    case: tuple[Any, str], seed: int, n_classes: int, missing: float
) -> None:
    found = trained(case, seed, n_classes, missing)
    if found is None:
        return
    classifier, table, new = found
    asking = asked(classifier, "what_if", what_if=True)
    if asking is None:
        return
    values = values_of(asking, new)
    labels = classifier.predict(batch_of(classifier, new)).outputs[0].labels
    classes = classifier.heads[0].classes
    for row, value in list(values.items())[:4]:
        one, own = new.iloc[[row]], classes[labels[row]]
        smallest = min(flips(classifier, table, one, own), default=None)
        if value is None:
            assert smallest is None
            continue
        assert label(classifier, with_(one, value["feature"], value["to"])) == value["label"] != own
        size = size_of(classifier, table, one, value)
        assert smallest is None or size <= smallest * (1 + 1e-9)  # it may be between the grid's points


def label(classifier: Classifier, one: pd.DataFrame) -> Any:
    found = classifier.predict(batch_of(classifier, one))
    return None if found.rejected else classifier.heads[0].classes[found.outputs[0].labels[0]]


def with_(one: pd.DataFrame, name: str, value: Any) -> pd.DataFrame:
    changed = one.copy()
    changed[name] = changed[name].astype(object)
    changed.loc[:, name] = value
    return changed


def known(classifier: Classifier, table: pd.DataFrame, name: str) -> list[Any]:
    """What a feature may become, if it is one of categories."""
    k = list(classifier.feature_names or ()).index(name)
    if classifier.features[k].type != "number":
        return sorted(set(table[name].dropna().tolist()))
    points = what_if.points(classifier.document)[k]
    return [] if points.span else points.values.tolist()


def size_of(
    classifier: Classifier, table: pd.DataFrame, one: pd.DataFrame, value: Mapping[str, Any]
) -> float:
    """In ranges of the training rows; the change is within them."""
    name = value["feature"]
    if categories := known(classifier, table, name):
        assert value["to"] in categories
        return 1.0
    low, high = table[name].min(), table[name].max()
    assert low <= value["to"] <= high
    return float(abs(value["to"] - one[name].iloc[0]) / (high - low))


STEPS = 65


def flips(classifier: Classifier, table: pd.DataFrame, one: pd.DataFrame, own: Any) -> Iterator[float]:
    """The sizes of changes on a grid that give another label."""
    for feature in classifier.features:
        name = feature.name
        if feature.type == "unused" or pd.isna(one[name].iloc[0]):
            continue
        values = known(classifier, table, name)
        sizes = np.ones(len(values))
        if not values:
            low, high = float(table[name].min()), float(table[name].max())
            if not low < high:
                continue
            values = np.linspace(low, high, STEPS).tolist()
            sizes = np.abs(np.array(values) - one[name].iloc[0]) / (high - low)
        many = pd.concat([one] * len(values), ignore_index=True)
        many[name] = pd.Series(values, dtype=object if feature.type == "text" else None)
        found = classifier.predict(batch_of(classifier, many))
        for i, place in enumerate(found.outputs[0].labels.tolist()):
            if i not in found.rejected and classifier.heads[0].classes[place] != own:
                yield float(sizes[i])
