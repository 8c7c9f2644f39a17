"""Look behind estimators that answer with another one: pipelines, searches, frozen and self-training ones.

imbalanced-learn's pipeline is recognized by the name of its module, so that the library is not imported. Its
samplers change training rows only.
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
    """A wrapper's steps on rows, and the estimator that then answers."""

    steps: tuple[tuple[str, Any], ...]
    name: str  # the last step's name; "" if people do not see it
    last: Any

    def place(self, before: Place) -> Place:
        return (*before, self.name) if self.name else before


def through(estimator: Any) -> Through | None:
    """Look behind a wrapper; return None for any other estimator.

    Raises Unsupported if a search has no best estimator.
    """
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
    """Return the estimator itself, or the one behind a search, a frozen or a self-training estimator."""
    while not is_pipeline(estimator) and (found := through(estimator)):
        estimator = found.last
    return estimator


def innermost(estimator: Any) -> Any:
    """Return the estimator that answers, behind all wrappers."""
    while found := through(estimator):
        estimator = found.last
    return estimator


def reached(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the estimator that answers, behind all wrappers, and the rows as they reach it."""
    while found := through(estimator):
        for _, step in found.steps:
            X = X if step is None or isinstance(step, str) else step.transform(X)
        estimator = found.last
    return estimator, X


def receivers(estimator: Any) -> list[Any]:
    """Return all estimators that get the rows unchanged: a pipeline's first step, an ensemble's members."""
    return [one for member in _receiving(estimator) for one in receivers(member)] or [estimator]


def _receiving(estimator: Any) -> list[Any]:
    """Return the estimators to which this one hands its rows unchanged."""
    if found := through(estimator):
        steps = [step for _, step in found.steps if step is not None and step != "passthrough"]
        return [*steps, found.last][:1]
    if isinstance(estimator, FeatureUnion):
        return [step for _, step in estimator.transformer_list]
    if isinstance(estimator, SelectorMixin):  # its estimator only served the fitting
        return []
    if hasattr(estimator, "calibrated_classifiers_"):
        return [one.estimator for one in estimator.calibrated_classifiers_]
    if hasattr(estimator, "estimators_"):  # the fitted ones; `estimator` is their prototype
        members = estimator.estimators_
        return [*(members.ravel() if isinstance(members, np.ndarray) else members)]
    return [estimator.estimator_] if hasattr(estimator, "estimator_") else []


def classes(estimator: Any) -> Any:
    """Return the classes of the estimator that answers, or a list with the classes of each output.

    A chain has one output, with any number of labels.
    """
    inner = innermost(estimator)
    if type(inner) is ClassifierChain:
        return np.arange(len(inner.estimators_))
    return estimator.classes_


def is_pipeline(estimator: Any) -> bool:
    """Return whether this is scikit-learn's or imbalanced-learn's own pipeline.

    A subclass may predict differently, so it does not count.
    """
    kind = type(estimator)
    return kind is Pipeline or (kind.__name__ == "Pipeline" and kind.__module__ == "imblearn.pipeline")


def is_search(estimator: Any) -> bool:
    """Return whether this predicts with the best estimator it found, as all scikit-learn searches do."""
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
