"""Turn CatBoost's models over numbers into the document's `forest`, read from CatBoost's own JSON."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thimble_model import trees
from thimble_model.forests import Grow, Grown, numbers
from thimble_model.program import Column, Program
from thimble_model.trees import Oblivious, Tree
from thimble_model.unsupported import Unsupported

Keys = dict[str, Any]

LINKS = {
    "Logloss": "logistic",
    "MultiClass": "softmax",
    "MultiClassOneVsAll": "logistic",
}


class Model(NamedTuple):
    """The parts of a model's JSON that matter here."""

    objective: str
    n_features: int
    bias: tuple[float, ...]
    missing_left: tuple[bool, ...]  # for each feature
    takes_missing: tuple[bool, ...]  # for each feature: whether a value was missing in training
    trees: Sequence[Keys]
    oblivious: bool


def read(estimator: Any) -> Model:
    """Read a model. Raises Unsupported if its answer is not a sum of leaves over numeric features."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.json")
        estimator.save_model(str(path), format="json")
        raw = json.loads(path.read_bytes())
    info = raw["features_info"]
    for key, kind in (
        ("categorical_features", "categories"),
        ("text_features", "texts"),
        ("embedding_features", "embeddings"),
    ):
        if info.get(key):
            raise Unsupported(
                f"it was trained on {kind} ({key}), for which a document has no form; encode them as numbers "
                "before it (OrdinalEncoder, OneHotEncoder), and fit again"
            )
    objective = _objective(raw)
    if objective not in LINKS:
        raise Unsupported(
            f"its loss function is {objective}; supported are {', '.join(LINKS)}: train it with one of these"
        )
    features = sorted(info["float_features"], key=lambda feature: feature["feature_index"])
    scale, bias = raw["scale_and_bias"]
    if scale != 1:
        raise Unsupported(
            f"its scale is {scale}, which rounds in its own way; set_scale_and_bias(1, bias) undoes it"
        )
    return Model(
        objective=objective,
        n_features=len(features),
        bias=tuple(bias if isinstance(bias, list) else [bias]),
        missing_left=tuple(feature["nan_value_treatment"] != "AsTrue" for feature in features),
        takes_missing=tuple(feature["nan_value_treatment"] != "AsIs" for feature in features),
        trees=raw.get("oblivious_trees") or raw["trees"],
        oblivious="oblivious_trees" in raw,
    )


def _objective(raw: Keys) -> str:
    parameters = raw["model_info"]["params"]
    found = json.loads(parameters) if isinstance(parameters, str) else parameters
    return str(found["loss_function"]["type"])


def forest(model: Model) -> Keys:
    """Return the forest; the bias is added last, as a tree of one leaf."""
    bias = {"leaf_values": model.bias, "leaf_weights": [0.0], "value": model.bias, "weight": 0.0}
    found = [*model.trees, *([bias] if any(model.bias) else [])]
    oblivious, other = (
        ([_oblivious(tree, model) for tree in found], [])
        if model.oblivious
        else ([], [_tree(tree, model) for tree in found])
    )
    return trees.forest(
        oblivious or other,
        model.n_features,
        [0.0] * len(model.bias),
        takes_missing=True,
        single=True,
    )


def _oblivious(tree: Keys, model: Model) -> Oblivious:
    splits = tree.get("splits") or []
    columns = np.array([split["float_feature_index"] for split in splits], np.int64)
    return Oblivious(
        columns=columns,
        thresholds=np.array([split["border"] for split in splits], np.float32).astype(np.float64),
        missing_left=np.array(model.missing_left, np.bool_)[columns],
        values=np.array(tree["leaf_values"], np.float64).reshape(1 << len(splits), -1),
        counts=np.array(tree["leaf_weights"], np.float64) if tree.get("leaf_weights") else None,
    )


def _tree(tree: Keys, model: Model) -> Tree:
    nodes: list[Keys] = []
    children: list[tuple[int, int]] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop(0)
        nodes.append(node)
        first = len(nodes) + len(waiting)
        children.append((first, first + 1))
        waiting += [node["left"], node["right"]] if "split" in node else []
    columns = np.array([node["split"]["float_feature_index"] if "split" in node else -1 for node in nodes])
    n_outputs = len(model.bias)
    left, right = np.array(children).T
    return Tree(
        columns=columns,
        thresholds=np.array(
            [node["split"]["border"] if "split" in node else 0.0 for node in nodes], np.float32
        ).astype(np.float64),
        missing_left=np.array(model.missing_left, np.bool_)[columns],
        left=left,
        right=right,
        values=np.array([np.broadcast_to(node.get("value", 0.0), n_outputs) for node in nodes]),
        counts=np.array([node.get("weight", 0.0) for node in nodes], np.float64),
    )


def grow(program: Program, estimator: Any, columns: list[Column]) -> Grown:
    model = read(estimator)
    asked = getattr(estimator, "get_probability_threshold", None)  # a bare CatBoost has none
    threshold = asked() if asked and len(model.bias) == 1 else 0.5
    if threshold != 0.5:
        raise Unsupported(f"its probability threshold is {threshold}; supported is 0.5")
    program.forbid_missing(
        [column for column, takes in zip(columns, model.takes_missing, strict=True) if not takes]
    )
    keys: Keys = {"out_activation": LINKS[model.objective], "decision": "logits"}
    keys |= {"multilabel": False} if model.objective == "MultiClassOneVsAll" else {}
    return Grown(numbers(program, columns, True), forest(model), keys)


grow_booster = grow


def opened(data: bytes) -> Any:
    """Open a model's file. It holds the classes, unless they were given as codes in training."""
    import catboost

    model = catboost.CatBoostClassifier()
    if data.startswith(b"CBM1"):
        return model.load_model(blob=data)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.json")
        path.write_bytes(data)
        return model.load_model(str(path), format="json")


def n_features(model: Any) -> int:
    return len(model.feature_names_)


def names(model: Any) -> list[str]:
    """Return the features' names; [] if they are only indices."""
    found: list[str] = model.feature_names_
    return [] if found == [str(i) for i in range(len(found))] else found


def categories_of(model: Any) -> dict[int, list[Any]]:
    return {}


def probabilities(model: Any, rows: Any) -> NDArray[Any]:
    return np.asarray(model.predict(rows, prediction_type="Probability"))


GROW: Mapping[str, Grow] = {"CatBoostClassifier": grow}
