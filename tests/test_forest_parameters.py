"""Trees of any parameters, alone and within others, give the trainer's labels, or are refused by name."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.tree import DecisionTreeClassifier

from tests.test_forests import Rows, cat, lgb, made, xgb, xgboost
from thimble.inference.classifier import load
from thimble_model import Unsupported, export
from thimble_model.parity import parity

pytestmark = pytest.mark.filterwarnings("ignore")

Make = Callable[..., Any]
Choices = Mapping[str, tuple[Any, ...]]
XGB: Choices = {
    "n_estimators": (1, 7),
    "max_depth": (1, 4),
    "tree_method": ("hist", "exact", "approx"),
    "grow_policy": ("depthwise", "lossguide"),
    "num_parallel_tree": (1, 3),
    "base_score": (None, 0.1, 0.9),
    "subsample": (1.0, 0.7),
    "min_child_weight": (0, 5),
    "max_delta_step": (0, 1),
    "scale_pos_weight": (1.0, 3.0),
    "objective": (None, "multi:softmax", "binary:hinge"),
    "multi_strategy": ("one_output_per_tree", "multi_output_tree"),
}
LGB: Choices = {
    "n_estimators": (1, 7),
    "num_leaves": (2, 30),
    "min_child_samples": (1, 20),
    "boosting_type": ("gbdt", "goss", "dart", "rf"),
    "objective": (None, "multiclassova"),
    "zero_as_missing": (False, True),
    "use_missing": (True, False),
    "boost_from_average": (True, False),
    "is_unbalance": (False, True),
    "sigmoid": (1.0, 0.7),
    "max_bin": (255, 15),
    "linear_tree": (False, False, True),
}
CAT: Choices = {
    "iterations": (1, 7),
    "depth": (1, 5),
    "grow_policy": ("SymmetricTree", "Depthwise", "Lossguide"),
    "nan_mode": ("Min", "Max"),
    "loss_function": (None, "MultiClass", "MultiClassOneVsAll", "CrossEntropy"),
    "auto_class_weights": (None, "Balanced"),
    "leaf_estimation_method": (None, "Newton", "Gradient"),
    "border_count": (None, 4),
}
FOREST: Choices = {
    "n_estimators": (1, 9),
    "max_depth": (None, 2),
    "max_leaf_nodes": (None, 6),
    "criterion": ("gini", "entropy"),
    "class_weight": (None, "balanced"),
    "ccp_alpha": (0.0, 0.01),
    "bootstrap": (True, False),
}
FAMILIES: dict[str, tuple[Make, Choices]] = {
    "XGBClassifier": (xgb, XGB),
    "XGBRFClassifier": (
        lambda **keys: xgboost.XGBRFClassifier(n_jobs=1, **keys),
        {name: values for name, values in XGB.items() if name != "num_parallel_tree"},
    ),
    "LGBMClassifier": (lambda **keys: lgb(bagging_freq=1, bagging_fraction=0.7, **keys), LGB),
    "CatBoostClassifier": (cat, CAT),
    "RandomForestClassifier": (RandomForestClassifier, FOREST),
    "ExtraTreesClassifier": (ExtraTreesClassifier, FOREST),
    "DecisionTreeClassifier": (
        DecisionTreeClassifier,
        {"splitter": ("best", "random")}
        | {name: values for name, values in FOREST.items() if name not in ("n_estimators", "bootstrap")},
    ),
    "GradientBoostingClassifier": (
        GradientBoostingClassifier,
        {
            "n_estimators": (1, 7),
            "loss": ("log_loss", "exponential"),
            "init": (None, "zero"),
            "subsample": (1.0, 0.5),
            "max_depth": (1, 3, None),
        },
    ),
    "HistGradientBoostingClassifier": (
        HistGradientBoostingClassifier,
        {
            "max_iter": (1, 7),
            "max_leaf_nodes": (None, 2, 31),
            "min_samples_leaf": (1, 20),
            "class_weight": (None, "balanced"),
            "max_bins": (255, 4),
            "early_stopping": (False, True),
        },
    ),
}
SMALL = DecisionTreeClassifier(max_depth=2, random_state=0)
WITHIN: dict[str, Make] = {
    "alone": lambda one: one,
    "one against the rest": OneVsRestClassifier,
    "pairs": OneVsOneClassifier,
    "codes": lambda one: OutputCodeClassifier(one, random_state=0),
    "sigmoid": lambda one: CalibratedClassifierCV(one, cv=2),
    "isotonic, one curve": lambda one: CalibratedClassifierCV(one, cv=2, method="isotonic", ensemble=False),
    "a soft vote": lambda one: VotingClassifier([("a", one), ("b", SMALL)], voting="soft"),
    "a hard vote": lambda one: VotingClassifier([("a", one), ("b", SMALL)]),
    "a stack": lambda one: StackingClassifier([("a", one), ("b", SMALL)], cv=2),
    "a bag": lambda one: BaggingClassifier(one, n_estimators=3, random_state=0),
    "a bag against the rest": lambda one: OneVsRestClassifier(
        BaggingClassifier(one, n_estimators=4, random_state=0)
    ),
    "AdaBoost": lambda one: AdaBoostClassifier(one, n_estimators=3, random_state=0),
    "a threshold": lambda one: FixedThresholdClassifier(one, threshold=0.4),
    "a score's threshold": lambda one: FixedThresholdClassifier(
        one, threshold=0.1, response_method="decision_function"
    ),
}


@st.composite
def families(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    name = draw(st.sampled_from(sorted(FAMILIES)))
    choices = FAMILIES[name][1]
    drawn = draw(st.fixed_dictionaries({key: st.sampled_from(values) for key, values in choices.items()}))
    return name, {key: value for key, value in drawn.items() if value is not None}


def between(X: Rows, seed: int) -> Rows:
    """Rows of values that were trained on, of the middles between them, and of the neighbours of both."""
    rng, columns = np.random.default_rng(seed), []
    for values in map(np.unique, X.T):
        known = values[~np.isnan(values)]
        near = np.concatenate([known, (known[1:] + known[:-1]) / 2])
        near = np.concatenate([near, np.nextafter(near, np.inf), np.nextafter(near, -np.inf), values[-1:]])
        columns.append(rng.choice(near, 300))
    return np.vstack([X, np.column_stack(columns)])


def exported(estimator: Any, X: Rows) -> bytes | None:
    """None where the exporter knows why it refuses; what it finds out by comparing answers is a fault."""
    try:
        return export(estimator, X)
    except Unsupported as error:
        event(f"refused: {str(error)[:60]}")
        if "would not answer" in str(error):
            raise
        return None


@settings(suppress_health_check=list(HealthCheck))
@given(
    family=families(),
    within=st.sampled_from(sorted(WITHIN)),
    seed=st.integers(0, 2**31 - 1),
    n_classes=st.integers(2, 4),
    missing=st.booleans(),
)
@example(("XGBClassifier", {"objective": "multi:softmax"}), "alone", 0, 3, True)
@example(("LGBMClassifier", {"boosting_type": "rf"}), "sigmoid", 0, 2, True)
@example(("LGBMClassifier", {"boosting_type": "rf"}), "isotonic, one curve", 0, 3, True)
@example(("LGBMClassifier", {"boosting_type": "rf"}), "a score's threshold", 0, 2, True)
@example(("XGBClassifier", {}), "a bag against the rest", 0, 2, False)
@example(("RandomForestClassifier", {"n_estimators": 3}), "a bag against the rest", 0, 2, False)
def test_trees_of_any_parameters_answer_as_their_trainer(
    family: tuple[str, dict[str, Any]], within: str, seed: int, n_classes: int, missing: bool
) -> None:
    name, parameters = family
    one = FAMILIES[name][0](**parameters)
    if "random_state" in one.get_params():
        one.set_params(random_state=seed % 1000)
    X, y, _ = made(seed, n_classes, missing)
    estimator = WITHIN[within](one)
    try:
        estimator.fit(X, y)
        estimator.predict(X)
    except Exception as error:  # whatever a trainer refuses with
        event(f"the trainer refuses: {type(error).__name__}")
        return
    data = exported(estimator, X)
    if data is None:
        return
    event(f"exported: {name}")
    found = parity(load(data), estimator, between(X, seed))
    assert found.holds, str(found)
