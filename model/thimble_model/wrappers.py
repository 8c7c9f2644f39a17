"""Estimators that answer with another one: pipelines, what a search found, what is frozen.

imbalanced-learn's pipeline is known by the name of its module, so that it is not imported. Its samplers
change training rows only.
"""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import numpy as np
from sklearn.feature_selection import SelectorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.multioutput import ClassifierChain
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.semi_supervised import SelfTrainingClassifier

from thimble_model.unsupported import Unsupported, class_name

Place = tuple[str, ...]

SEARCHES = ("GridSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV", "RandomizedSearchCV")
NAMES = ("FrozenEstimator", "Pipeline", "SelfTrainingClassifier", *SEARCHES)
FOUND = "best_estimator_"


class Through(NamedTuple):
    """What a wrapper does to rows, and the estimator that then answers."""

    steps: tuple[tuple[str, Any], ...]
    name: str  # of the last; "" where people do not see it
    last: Any

    def place(self, before: Place) -> Place:
        return (*before, self.name) if self.name else before


def through(estimator: Any) -> Through | None:
    """Look behind a wrapper; None for any other estimator. Unsupported for a search without an answer."""
    if is_pipeline(estimator):
        *steps, (name, last) = estimator.steps
        return Through(tuple((name, step) for name, step in steps if not _is_sampler(step)), name, last)
    if type(estimator) is FrozenEstimator:
        return Through((), "", estimator.estimator)
    if type(estimator) is SelfTrainingClassifier:
        return Through((), "estimator_", getattr(estimator, "estimator_", estimator.estimator))
    if is_search(estimator):
        return Through((), FOUND, _found(estimator))
    return None


def plain(estimator: Any) -> Any:
    """The estimator itself, or the one in its place that a search found, or that is frozen."""
    while not is_pipeline(estimator) and (found := through(estimator)):
        estimator = found.last
    return estimator


def innermost(estimator: Any) -> Any:
    """The estimator that answers, behind all wrappers."""
    while found := through(estimator):
        estimator = found.last
    return estimator


def reached(estimator: Any, X: Any) -> tuple[Any, Any]:
    """The estimator that answers, behind all wrappers, and the rows as they reach it."""
    while found := through(estimator):
        for _, step in found.steps:
            X = X if step is None or isinstance(step, str) else step.transform(X)
        estimator = found.last
    return estimator, X


def receivers(estimator: Any) -> list[Any]:
    """All that get the rows as they come: of a pipeline its first step, of an ensemble its members."""
    return [one for member in _receiving(estimator) for one in receivers(member)] or [estimator]


def _receiving(estimator: Any) -> list[Any]:
    """What an estimator hands its rows to as they come."""
    if found := through(estimator):
        steps = [step for _, step in found.steps if step is not None and step != "passthrough"]
        return [*steps, found.last][:1]
    if isinstance(estimator, FeatureUnion):
        return [step for _, step in estimator.transformer_list]
    if isinstance(estimator, SelectorMixin):  # it needed an estimator as it was fitted
        return []
    if hasattr(estimator, "calibrated_classifiers_"):
        return [one.estimator for one in estimator.calibrated_classifiers_]
    if hasattr(estimator, "estimators_"):  # as fitted; `estimator` is what they were made from
        members = estimator.estimators_
        return [*(members.ravel() if isinstance(members, np.ndarray) else members)]
    return [estimator.estimator_] if hasattr(estimator, "estimator_") else []


def classes(estimator: Any) -> Any:
    """The classes of the estimator that answers, or a list of those of its outputs. A chain has one output,
    of any number of labels."""
    inner = innermost(estimator)
    if type(inner) is ClassifierChain:
        return np.arange(len(inner.estimators_))
    return estimator.classes_


def is_pipeline(estimator: Any) -> bool:
    """Whether it is scikit-learn's or imbalanced-learn's own: a subclass may predict in its own way."""
    kind = type(estimator)
    return kind is Pipeline or (kind.__name__ == "Pipeline" and kind.__module__ == "imblearn.pipeline")


def is_search(estimator: Any) -> bool:
    """Whether it predicts with the best that it found, as all of scikit-learn's searches do."""
    inherited = inspect.getattr_static(BaseSearchCV, "predict")
    return isinstance(estimator, BaseSearchCV) and (
        inspect.getattr_static(type(estimator), "predict") is inherited
    )


def _is_sampler(step: Any) -> bool:
    return hasattr(step, "fit_resample")


def _found(search: Any) -> Any:
    if hasattr(search, FOUND):
        return getattr(search, FOUND)
    if hasattr(search, "cv_results_"):
        raise Unsupported(
            f"{class_name(search)} was fitted with refit=False, and so has no estimator to answer with: "
            "fit it again with refit=True, or export an estimator that you fitted with its best parameters"
        )
    raise Unsupported(f"{class_name(search)} is not fitted: call its fit(X, y) first")
