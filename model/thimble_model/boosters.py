"""Wrap bare boosters, and the model files of their trainers, as classifiers with given classes.

A booster knows its classes only by index. The trainer's own library reads its file, which runs no code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from thimble.errors import InvalidInput
from thimble_model.forests import Grow, Grown
from thimble_model.program import Column, Program
from thimble_model.unsupported import Unsupported, class_name, first_line


class Trainer(Protocol):
    """The functions that a trainer's module has for a bare booster."""

    def opened(self, data: bytes) -> Any: ...
    def n_features(self, booster: Any) -> int: ...
    def names(self, booster: Any) -> list[str]: ...
    def categories_of(self, booster: Any) -> dict[int, list[Any]]: ...
    def probabilities(self, booster: Any, rows: Any) -> NDArray[Any]: ...
    def grow_booster(self, program: Program, booster: Any, columns: list[Column]) -> Grown: ...


BARE = {"xgboost": "Booster", "lightgbm": "Booster", "catboost": "CatBoost"}


class Booster(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A bare booster with its classes, as a fitted classifier."""

    def __init__(self, booster: Any, classes: Sequence[Any]) -> None:
        self.booster = booster
        self.classes = classes

    @property
    def trainer(self) -> Trainer:
        return _trainer(_package(self.booster))

    @property
    def classes_(self) -> NDArray[Any]:
        alike = len(set(map(type, self.classes))) == 1
        return np.array(self.classes) if alike else np.array(self.classes, object)

    @property
    def n_features_in_(self) -> int:
        return self.trainer.n_features(self.booster)

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        names = self.trainer.names(self.booster)
        if not names:
            raise AttributeError("it was trained on columns without names")
        return np.array(names, object)

    def fit(self, X: Any, y: Any) -> Booster:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict_proba(self, X: Any) -> NDArray[Any]:
        found = self.trainer.probabilities(self.booster, X)
        return np.column_stack([1 - found, found]) if found.ndim == 1 else found

    def predict(self, X: Any) -> NDArray[Any]:
        likely: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return likely


def _package(estimator: Any) -> str:
    return type(estimator).__module__.partition(".")[0]


def _trainer(name: str) -> Trainer:
    from thimble_model import trees_catboost, trees_lightgbm, trees_xgboost

    modules: dict[str, ModuleType] = {
        "xgboost": trees_xgboost,
        "lightgbm": trees_lightgbm,
        "catboost": trees_catboost,
    }
    return cast(Trainer, modules[name])


def is_bare(estimator: Any) -> bool:
    """Return whether this is a bare booster.

    A CatBoostClassifier loaded from a file counts too: it no longer knows what it was fitted on.
    """
    loaded = class_name(estimator) == "CatBoostClassifier" and not estimator.n_features_in_
    return BARE.get(_package(estimator)) == class_name(estimator) or loaded


def classifier(estimator: Any, classes: Sequence[Any] | None) -> Any:
    """Return a bare booster as a classifier with these classes, and any other estimator unchanged.

    CatBoost's booster may know its own classes. Raises Unsupported if a booster's classes are unknown, and
    InvalidInput if `classes` is not a list or the estimator has its own.
    """
    if isinstance(classes, str) or not isinstance(classes, Iterable | None):
        raise InvalidInput(f"classes is {classes!r}: pass a list of labels, as classes=['no', 'yes']")
    if is_bare(estimator):
        said = getattr(estimator, "classes_", None) if classes is None else classes
        if said is None:
            raise Unsupported(
                f"a bare {class_name(estimator)} knows its classes by their places only: say what they are, "
                "in that order, as classes=[...], or --classes A,B in a terminal"
            )
        return Booster(estimator, list(said))
    if classes is not None and type(estimator) is not Booster:
        raise InvalidInput(
            f"classes are said of a bare booster alone, and {class_name(estimator)} has its own: leave them "
            "out"
        )
    return estimator


def trainer_of(data: bytes) -> str | None:
    """Return the trainer that wrote a file, judged by its content; None if none of them did."""
    if data.startswith(b"CBM1"):
        return "catboost"
    if data.startswith((b"tree\n", b"tree\r\n")):
        return "lightgbm"
    if data.startswith((b"{L\x00", b"{i\x07learner", b"{U\x07learner")):
        return "xgboost"
    keys = _keys(data)
    if "learner" in keys:
        return "xgboost"
    return "catboost" if keys & {"oblivious_trees", "trees"} and "features_info" in keys else None


def _keys(data: bytes) -> set[str]:
    if not data.lstrip().startswith(b"{"):
        return set()
    try:
        return set(json.loads(data))
    except (ValueError, RecursionError):
        return set()


def opened(data: bytes, name: str, classes: Sequence[Any] | None) -> Any:
    """Return the classifier in a trainer's file. Raises Unsupported if the trainer cannot read it."""
    trainer = trainer_of(data)
    assert trainer is not None
    try:
        module = _trainer(trainer)
        booster = module.opened(data)
        if not module.n_features(booster):
            raise Unsupported("it has no features")
    except ModuleNotFoundError as error:
        raise Unsupported(
            f"{name} is a file of {trainer}'s, which needs {error.name}: `pip install {trainer}`"
        ) from None
    except Exception as error:  # trainers raise all kinds of errors for broken bytes
        raise Unsupported(
            f"{name} is no whole file of {trainer}'s, or of another version than is here "
            f"({class_name(error)}: {first_line(error)}): save it anew with save_model(path)"
        ) from None
    return classifier(booster, classes)


def trained_categories(estimator: Booster) -> dict[int, list[Any]]:
    return estimator.trainer.categories_of(estimator.booster)


def grow(program: Program, estimator: Booster, columns: list[Column]) -> Grown:
    if len(columns) != estimator.n_features_in_:
        raise Unsupported(f"it takes {estimator.n_features_in_} columns, and {len(columns)} reach it")
    made = estimator.trainer.grow_booster(program, estimator.booster, columns)
    n, said = max(2, len(made.forest["base"])), len(estimator.classes)
    if n != said:
        raise Unsupported(
            f"it tells {n} classes apart, and {said} are said: name all {n}, in the order of the codes 0 to "
            f"{n - 1} that it was trained on"
        )
    return made


GROW: Mapping[str, Grow] = {"Booster": grow}
