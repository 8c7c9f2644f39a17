"""Turn classifiers of trees, from any trainer, into forests and the meaning of their sums.

A trainer is recognized by the name of its class, so that its library is imported only when it is needed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from thimble.inference.head import Label
from thimble_model.program import Column, Program
from thimble_model.unsupported import Unsupported
from thimble_model.wrappers import receivers

Keys = dict[str, Any]


class Meaning:
    """The document's keys that say what a head's outputs mean, be it a network or a forest."""

    keys: Keys

    @property
    def classes(self) -> list[Label]:
        classes: list[Label] = self.keys["classes"]
        return classes

    @property
    def decision(self) -> str:
        return str(self.keys.get("decision", "probabilities"))


@dataclass(frozen=True)
class ForestHead(Meaning):
    """A forest over columns of the program. `keys` are the document's keys without the forest."""

    inputs: tuple[int, ...]
    forest: Keys
    keys: Keys = field(default_factory=dict)
    sums: bool = False  # whether decision_function has the sums before they are divided

    @property
    def n_outputs(self) -> int:
        return len(self.forest["base"])

    def document_keys(self) -> Keys:
        return {**self.keys, "n_outputs": self.n_outputs, "forest": self.forest}

    def over(self, inputs: Sequence[int]) -> ForestHead:
        """Return the same forest over these columns, which include its own."""
        places = [inputs.index(index) for index in self.inputs]
        forest = self.forest | {
            "inputs": len(inputs),
            "columns": [places[column] for column in self.forest["columns"]],
        }
        if "categorical" in forest:
            forest["categorical"] = sorted(places[column] for column in forest["categorical"])
        if "absent" in forest:
            columns = forest["absent"].get("columns", range(len(places)))
            forest["absent"] = forest["absent"] | {"columns": sorted({places[column] for column in columns})}
        return replace(self, inputs=tuple(inputs), forest=forest)


@dataclass(frozen=True)
class Grown:
    """An estimator's forest, as its trainer's module reads it."""

    columns: list[Column]  # the columns that the trees read
    forest: Keys
    keys: Keys  # the head's keys without the classes
    sums: bool = False  # whether decision_function has the sums before they are divided


def without_counts(document: Any) -> Any:
    """Return the document without the counts of its forests, wherever they are."""
    if isinstance(document, list) and document and isinstance(document[0], dict):
        return [without_counts(item) for item in document]
    if not isinstance(document, dict):
        return document
    found = {key: without_counts(value) for key, value in document.items()}
    if "forest" in found:
        found["forest"].pop("counts", None)
    return found


Grow = Callable[[Program, Any, list[Column]], Grown]


class Trainer(NamedTuple):
    """A library whose classes a module of this package reads; the module's GROW has a function for each."""

    module: str
    names: tuple[str, ...]
    categorical: bool = False  # whether the module has `trained_categories` for pandas' categories
    spaces: str = " "  # the character that replaces a space in a feature's name


TRAINERS: Mapping[str, Trainer] = {  # by the package of the estimator's class
    "sklearn": Trainer(
        "trees_sklearn",
        (
            *("AdaBoostClassifier", "BaggingClassifier", "DecisionTreeClassifier", "ExtraTreeClassifier"),
            *("ExtraTreesClassifier", "GradientBoostingClassifier", "HistGradientBoostingClassifier"),
            "RandomForestClassifier",
        ),
    ),
    "xgboost": Trainer("trees_xgboost", ("XGBClassifier", "XGBRFClassifier"), categorical=True),
    "lightgbm": Trainer("trees_lightgbm", ("LGBMClassifier",), categorical=True, spaces="_"),
    "catboost": Trainer("trees_catboost", ("CatBoostClassifier",)),
    "thimble_model": Trainer("boosters", ("Booster",), categorical=True),
}
NAMES = tuple(name for trainer in TRAINERS.values() for name in trainer.names)
BALANCED = (  # imbalanced-learn's: they choose rows to fit on, and predict as their scikit-learn parents
    *("BalancedBaggingClassifier", "BalancedRandomForestClassifier", "EasyEnsembleClassifier"),
    "RUSBoostClassifier",
)


def kind(estimator: Any) -> type:
    """Return the class that defines how it predicts: its own, except for the BALANCED ones.

    A subclass may override the prediction, so it does not count as its parent.
    """
    own = type(estimator)
    if own.__name__ in BALANCED and own.__module__.startswith("imblearn."):
        return next(one for one in own.__mro__ if one.__module__.startswith("sklearn."))
    return own


def is_forest(estimator: Any) -> bool:
    """Return whether it predicts as one of the TRAINERS' classes."""
    trainer = TRAINERS.get(_package(estimator))
    return trainer is not None and kind(estimator).__name__ in trainer.names


def _package(estimator: Any) -> str:
    return kind(estimator).__module__.partition(".")[0]


def _imported(trainer: Trainer) -> Any:
    return importlib.import_module(f"thimble_model.{trainer.module}")


def require_one_output(estimator: Any) -> None:
    if getattr(estimator, "n_outputs_", 1) > 1:
        raise Unsupported("its trees have several outputs; fit it inside a MultiOutputClassifier")


def grown(program: Program, estimator: Any, columns: list[Column], classes: list[Label]) -> ForestHead:
    grow: Mapping[str, Grow] = _imported(TRAINERS[_package(estimator)]).GROW
    made = grow[kind(estimator).__name__](program, estimator, columns)
    keys = {"classes": classes, **made.keys}
    return ForestHead(tuple(column.index for column in made.columns), made.forest, keys, made.sums)


def raw(one: ForestHead) -> ForestHead:
    """Return the forest whose sums decision_function has.

    LightGBM divides the sums of its random forests for probabilities only.
    """
    if not one.sums:
        return one
    return replace(one, forest={key: value for key, value in one.forest.items() if key != "divide"})


def decisions(program: Program, one: ForestHead) -> list[int]:
    """Return the columns of scikit-learn's decision_function."""
    sums = _step(program, raw(one), {"out_activation": "identity"})
    if len(sums) > 2 or len(sums) == 1:
        return sums
    (twice,) = program.add("scale", sums[1:], multiply=np.full(1, 2.0))  # two classes: -s and s
    return [twice.index]


def probabilities(program: Program, one: ForestHead) -> list[int]:
    """Return a column of probabilities for each class; with two classes, possibly only the second's."""
    keys: Keys = {key: one.keys[key] for key in ("out_activation", "temperature") if key in one.keys}
    return _step(program, one, keys)


def _step(program: Program, one: ForestHead, keys: Keys) -> list[int]:
    made = program.add("forest", one.inputs, width=one.n_outputs, forest=one.forest, **keys)
    return [column.index for column in made]


def numbers(program: Program, columns: list[Column], takes_missing: bool) -> list[Column]:
    """Read the columns as numbers, which may be missing if the forest takes missing values."""
    if not takes_missing:
        program.forbid_missing(columns)
    program.numbers(columns)
    return columns


def categories(program: Program, column: Column, known: Sequence[Any], takes_unknown: bool) -> Column:
    """Encode a category as its index among those that the trainer knows.

    An unknown category counts as missing if `takes_unknown`, and rejects the row otherwise.
    """
    from thimble_model.forms import require_plain

    require_plain(program.describe(column), known)
    plain = [value.item() if isinstance(value, np.generic) else value for value in known]
    texts = all(isinstance(value, str) for value in plain)
    booleans = bool(plain) and all(isinstance(value, bool) for value in plain)
    program.settle(column, "text" if texts else "boolean" if booleans else "number")
    codes: dict[Any, float] = {
        value if texts else float(value): float(place) for place, value in enumerate(plain)
    }
    if len(codes) < len(plain):
        raise Unsupported(f"{program.describe(column)} has two categories that are one number to a double")

    def ask(values: list[Any]) -> list[float | None]:
        return [codes.get(value, np.nan if takes_unknown or value is np.nan else None) for value in values]

    odd = next(f"\x00 {k}" for k in range(len(codes) + 1) if f"\x00 {k}" not in codes) if texts else np.inf
    return program.encode(column, plain, ask, np.nan, odd)


def trained_categories(estimator: Any) -> dict[int, list[Any]]:
    """Return pandas' categories that XGBoost or LightGBM was trained on, by column index."""
    for inner in receivers(estimator):
        if is_forest(inner) and TRAINERS[_package(inner)].categorical:
            found: dict[int, list[Any]] = _imported(TRAINERS[_package(inner)]).trained_categories(inner)
            if found:
                return found
    return {}


def spelling(estimator: Any) -> Callable[[str], str]:
    """Return a function that spells a column's name as the trainer does.

    For an ensemble, the last member that knows names counts.
    """
    found = receivers(estimator)
    inner = ([one for one in found if hasattr(one, "feature_names_in_")] or found)[-1]
    trainer = TRAINERS.get(_package(getattr(inner, "booster", inner)))
    spaces = trainer.spaces if trainer else " "
    return lambda name: name.replace(" ", spaces)
