"""Lower classifiers that are made of other classifiers.

The members' answers become columns of the program; steps that round as scikit-learn does combine them. Each
function takes `classify`, which turns a member into a head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from thimble.inference.head import Label
from thimble_model import members
from thimble_model.labels import labels
from thimble_model.networks import AnyHead, Head, identity_head
from thimble_model.program import Column, Program
from thimble_model.unsupported import Unsupported, class_name
from thimble_model.wrappers import Place

Columns = list[Column]
Classify = Callable[[Program, Any, Columns, Place], AnyHead]

ABOVE_HALF = float(np.nextafter(0.5, 1.0))  # as a threshold, which is met at itself
SINGLE = "32"  # the suffix of names of operations in single precision


def of_trees(estimator: Any) -> bool:
    """Return whether all members are scikit-learn's trees, so that the ensemble is one forest."""
    return all(type(one) in (DecisionTreeClassifier, ExtraTreeClassifier) for one in estimator.estimators_)


def is_single(program: Program, one: AnyHead) -> bool:
    """Return whether the head's probabilities are computed in single precision."""
    if isinstance(one, Head) and program.single.issuperset(one.inputs):
        return True
    found = one.keys["out_activation"], one.keys.get("normalize") or ""
    return any(name.endswith(SINGLE) for name in found)


def voting(program: Program, estimator: Any, columns: Columns, place: Place, classify: Classify) -> AnyHead:
    names = [name for name, one in estimator.estimators if not isinstance(one, str)]
    heads = [
        classify(program, one, columns, (*place, name))
        for name, one in zip(names, estimator.estimators_, strict=True)
    ]
    weights = estimator._weights_not_none
    classes = labels(estimator.classes_)
    if estimator.voting == "hard":
        return _counted(program, heads, [1.0] * len(heads) if weights is None else weights, classes)
    for one in heads:
        if len(one.classes) != len(classes):
            raise Unsupported("one of its members has not seen every class")
    if len(heads) == 1 and weights is None:
        return members.relabelled(members.by_probability(heads[0]), classes)
    single = weights is None and all(is_single(program, one) for one in heads)
    mean = _added(
        program,
        [members.probabilities(program, one) for one in heads],
        weights=weights,
        divide=float(len(heads) if weights is None else np.asarray(weights).sum()),
        single=single,
    )
    return identity_head(mean, classes=classes)


def _added(
    program: Program,
    parts: Sequence[Sequence[int]],
    divide: float,
    weights: Any = None,
    single: bool = False,
) -> list[int]:
    """Add the members' columns up in order, weighted if there are weights, and divide the sums."""
    made = program.add(
        "sum",
        [index for part in parts for index in part],
        width=len(parts[0]),
        size=len(parts[0]),
        weights=None if weights is None else np.asarray(weights, dtype=np.float64),
        divide=None if divide == 1.0 else divide,
        sum_type="float32" if single else None,
    )
    added = [column.index for column in made]
    if single:
        program.single.update(added)
    return added


def _counted(program: Program, heads: Sequence[AnyHead], weights: Any, classes: list[Label]) -> Head:
    """Count the members' votes as scikit-learn does: members answer with the indices of classes."""
    places: list[Label] = list(range(len(classes)))
    made = program.add(
        "votes",
        [members.codes(program, _label(program, one), one.classes, places) for one in heads],
        width=len(classes),
        choices=len(classes),
        weights=np.asarray(weights, dtype=np.float64),
    )
    return identity_head([column.index for column in made], classes=classes, decision="scores")


def _label(program: Program, one: AnyHead) -> int:
    ((label,),) = members.answers(program, one, "label")
    return label


def stacking(program: Program, estimator: Any, columns: Columns, place: Place, classify: Classify) -> AnyHead:
    """Feed the final estimator the members' answers, then the features if they are passed through."""
    if isinstance(estimator.classes_, list):
        raise Unsupported("it has several outputs; fit it inside a MultiOutputClassifier")
    names = [name for name, one in estimator.estimators if not isinstance(one, str)]
    stacked: Columns = []
    single = not estimator.passthrough
    for name, one, method in zip(names, estimator.estimators_, estimator.stack_method_, strict=True):
        made = classify(program, one, columns, (*place, name))
        single = single and method == "predict_proba" and is_single(program, made)
        found = answered(program, made, method)
        if method == "predict_proba" and len(estimator.classes_) == 2:
            found = found[1:]
        stacked += [Column(index) for index in found]
    if single:
        raise Unsupported(
            "all that its last estimator takes is of single precision, and so is what it computes; "
            "fit it with passthrough=True, or with a member of double precision beside these"
        )
    if estimator.passthrough:
        sparse = any(column.sparse for column in columns)
        stacked = [replace(column, sparse=sparse) for column in stacked] + columns
    last = classify(program, estimator.final_estimator_, stacked, (*place, "final_estimator_"))
    return members.relabelled(last, labels(estimator.classes_))


def answered(program: Program, one: AnyHead, method: str) -> list[int]:
    """Return the columns that hold what one of scikit-learn's methods returns."""
    if method == "predict_proba":
        return members.probabilities(program, one)
    if method == "decision_function":
        return members.decisions(program, one)
    return [members.valued(program, _label(program, one), members.numbers(one.classes))]


def bagging(program: Program, estimator: Any, columns: Columns, place: Place, classify: Classify) -> AnyHead:
    """Average the members' probabilities, or their votes if they have no probabilities."""
    heads = [
        classify(program, one, [columns[i] for i in chosen], (*place, "estimator"))
        for one, chosen in zip(estimator.estimators_, estimator.estimators_features_, strict=True)
    ]
    classes = labels(estimator.classes_)
    places: list[Label] = list(range(len(classes)))
    if hasattr(estimator.estimators_[0], "predict_proba"):
        parts = [_spread(program, members.probabilities(program, one), one.classes, places) for one in heads]
    else:
        parts = [list(_counted(program, heads, [1.0] * len(heads), classes).inputs)]
    mean = _added(program, parts, divide=float(len(heads)))
    found = identity_head(mean, classes=classes)
    if not hasattr(estimator, "decision_function"):
        return found
    if any(one.classes != places for one in heads):
        return found  # scikit-learn's own decision_function fails here
    scores = _added(program, [members.decisions(program, one) for one in heads], divide=float(len(heads)))
    return replace(found, decisions=tuple(scores))


def _spread(
    program: Program, probabilities: list[int], classes: Sequence[Label], places: Sequence[Label]
) -> list[int]:
    """Return a column for each class of the ensemble, of zeros if the member has not seen the class."""
    if list(classes) == list(places):
        return probabilities
    (zero,) = program.add("constant", [], width=1, values=np.zeros(1))
    found = dict(zip(classes, probabilities, strict=True))
    return [found.get(place, zero.index) for place in places]


def ada_boost(
    program: Program, estimator: Any, columns: Columns, place: Place, classify: Classify
) -> AnyHead:
    """Count votes: a member adds its weight to the class it names, and -1 / (K - 1) of it to the others."""
    program.refuse_missing(columns)
    heads = [classify(program, one, columns, (*place, "estimator")) for one in estimator.estimators_]
    classes = labels(estimator.classes_)
    weights = np.asarray(estimator.estimator_weights_[: len(heads)], dtype=np.float64)
    n = len(classes)
    votes = program.add(
        "votes",
        [members.codes(program, _label(program, one), one.classes, classes) for one in heads],
        width=n,
        choices=n,
        weights=weights,
        against=-1 / (n - 1) * weights,
    )
    scores = program.add(
        "scale",
        [column.index for column in votes],
        divide=np.full(n, float(estimator.estimator_weights_.sum())),
    )
    found = identity_head([column.index for column in scores], classes=classes)
    keys = {"out_activation": "softmax", "decision": "logits"}
    return replace(found, keys=found.keys | keys | ({"temperature": n - 1.0} if n > 2 else {}))


def one_vs_one(
    program: Program, estimator: Any, columns: Columns, place: Place, classify: Classify
) -> AnyHead:
    """Count votes, and add the members' confidence to them: less than a third of a vote."""
    if estimator.pairwise_indices_ is not None:
        raise Unsupported("its members take a kernel of the training rows")
    classes = labels(estimator.classes_)
    n, decides = len(classes), hasattr(estimator.estimators_[0], "decision_function")
    codes, confidences = [], []
    for one in estimator.estimators_:
        made = classify(program, one, columns, (*place, "estimator"))
        members.answers(program, made, "label", "logits" if decides else "probabilities")
        codes.append(_label(program, made))
        confidences.append(binary(program, made, decides))
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    counted, won, signed = np.zeros((len(pairs), n)), np.zeros(n), np.zeros((len(pairs), n))
    for k, (i, j) in enumerate(pairs):  # a member answers 0 for class i, 1 for class j
        counted[k, i], counted[k, j] = -1.0, 1.0
        won[i] += 1.0
        signed[k, i], signed[k, j] = -1.0, 1.0
    votes = _linear(program, codes, counted, won)
    sums = _linear(program, confidences, signed, np.zeros(n))
    sizes = program.add("function", sums, name="abs")
    sizes = program.add("scale", [column.index for column in sizes], add=np.ones(n))
    sizes = program.add("scale", [column.index for column in sizes], multiply=np.full(n, 3.0))
    shares = program.add("quotient", [*sums, *(column.index for column in sizes)], width=n)
    scores = _added(program, [votes, [column.index for column in shares]], divide=1.0)
    if n > 2:
        return identity_head(scores, classes=classes, decision="scores")
    above = None if decides else ABOVE_HALF
    return identity_head(scores[1:], classes=classes, decision="scores", threshold=above)


def _linear(program: Program, columns: Sequence[int], coefs: Any, intercepts: Any) -> list[int]:
    made = program.add("linear", columns, width=len(intercepts), coefs=coefs, intercepts=intercepts)
    return [column.index for column in made]


def binary(program: Program, one: AnyHead, decides: bool) -> int:
    """Return the column by which scikit-learn compares a two-class member: its score or probability."""
    return members.decisions(program, one)[-1] if decides else members.probabilities(program, one)[-1]


def one_vs_rest(
    program: Program,
    heads: Sequence[AnyHead],
    likely: bool,
    decides: bool,
    multilabel: bool,
    classes: list[Label],
) -> Head:
    """Combine members that each tell one class from all others.

    Their probabilities are shown and their scores compared. If `likely` is false there are no probabilities
    to show; if `decides` is false there are no scores, and the probabilities are compared.
    """
    keys: dict[str, Any] = {"classes": classes, "multilabel": multilabel or None}
    for one in heads:
        members.answers(program, one, *["probabilities"] * likely, *["logits"] * decides)
    compared = [binary(program, one, decides) for one in heads]
    if not likely:
        return identity_head(compared, **keys, decision="scores")
    single = all(is_single(program, one) for one in heads)
    keys["normalize"] = None if multilabel else "zero32" if single else "zero"
    if not decides:
        return identity_head(compared, **keys, decision=None if multilabel else "logits")
    shown = [members.probabilities(program, one)[-1] for one in heads]
    return identity_head([*shown, *compared], **keys, apart=True)


def one_of_two(program: Program, one: AnyHead, decides: bool) -> AnyHead:
    """One member that tells two classes apart: by its score, or else by the second's probability."""
    plain = members.shown(one)
    if not decides:
        return _above_half(plain)
    if not (one.keys.get("apart") or (isinstance(one, Head) and one.decisions)):
        return plain
    (score,) = members.decisions(program, one)
    return with_score(program, plain, score)


def _above_half(one: AnyHead) -> AnyHead:
    """The second class if its probability is above a half, whatever the first's is."""
    if one.n_outputs == 1:
        return one
    if isinstance(one, Head) and members.is_plain(one):
        return identity_head(one.inputs[1:], classes=one.classes)
    return replace(one, keys=_without_decision(one) | {"threshold": ABOVE_HALF})


def with_score(program: Program, one: AnyHead, score: int, **keys: Any) -> Head:
    """Return the member's probabilities of two classes, with a separate score that chooses between them."""
    (opposite,) = program.add("scale", [score], multiply=np.full(1, -1.0))
    shown = [*members.probabilities(program, one), opposite.index, score]
    return replace(identity_head(shown, classes=one.classes, apart=True, **keys), decisions=(score,))


def output_code(
    program: Program, estimator: Any, columns: Columns, place: Place, classify: Classify
) -> AnyHead:
    """Choose the class whose code c is nearest to the members' answers y: the largest 2 y·c - c·c."""
    found = [_bit(program, one, columns, (*place, "estimator"), classify) for one in estimator.estimators_]
    codes = np.asarray(estimator.code_book_, dtype=np.float64)
    return Head(
        inputs=tuple(found),
        coefs=(2.0 * codes.T,),
        intercepts=(-(codes**2).sum(axis=1),),
        keys={"classes": labels(estimator.classes_), "out_activation": "identity", "decision": "scores"},
    )


def _bit(program: Program, one: Any, columns: Columns, place: Place, classify: Classify) -> int:
    if class_name(one) == "_ConstantPredictor":  # all classes have the same bit
        (same,) = program.add("constant", [], width=1, values=np.asarray(one.y_, dtype=np.float64))
        return same.index
    return binary(program, classify(program, one, columns, place), hasattr(one, "decision_function"))


def chain(program: Program, estimator: Any, columns: Columns, place: Place, classify: Classify) -> AnyHead:
    """Feed each member the features and the answers of the members before it.

    The head has a probability, or else a score, for each label, and whether the label applies.
    """
    if any(classes.tolist() != [0, 1] for classes in estimator.classes_):
        raise Unsupported("its labels are others than 0 and 1; fit it on a matrix of these")
    program.refuse_missing(columns)
    likely = hasattr(estimator.estimators_[0], "predict_proba")
    if not likely and not hasattr(estimator.estimators_[0], "decision_function"):
        raise Unsupported("its members have neither probabilities nor scores")
    before: Columns = []
    shown, applies = {}, {}
    for label, one in zip(estimator.order_, estimator.estimators_, strict=True):
        made = classify(program, one, [*columns, *before], (*place, "estimator"))
        members.answers(program, made, "label", "probabilities" if likely else "logits")
        method = estimator.chain_method_ if hasattr(estimator, "chain_method_") else "predict"
        before.append(Column(_chained(program, made, method), sparse=any(c.sparse for c in columns)))
        shown[int(label)] = binary(program, made, decides=not likely)
        applies[int(label)] = _label(program, made)
    n = len(shown)
    return identity_head(
        [*(shown[k] for k in range(n)), *(applies[k] for k in range(n))],
        classes=list(range(n)),
        decision=None if likely else "scores",
        multilabel=True,
        apart=True,
    )


def _chained(program: Program, one: AnyHead, method: str) -> int:
    if method != "predict_log_proba":
        return answered(program, one, method)[-1]
    (logarithm,) = program.add("function", members.probabilities(program, one)[-1:], name="log")
    return logarithm.index


def threshold(
    program: Program, estimator: Any, columns: Columns, place: Place, classify: Classify
) -> AnyHead:
    """A classifier of two classes with its own threshold."""
    inner = getattr(estimator, "estimator_", estimator.estimator)
    one = classify(program, inner, columns, (*place, "estimator"))
    bar, label = _bar(estimator)
    if label is not None and label not in estimator.classes_.tolist():
        return members.shown(one)  # its predict fails, but an ensemble may want its probabilities only
    positive = 1 if label is None else estimator.classes_.tolist().index(label)
    keys = {"threshold": float(bar), "positive": one.classes[positive]}
    if _method(estimator, inner) == "predict_proba":
        shown = members.shown(one)
        if is_single(program, shown) and not isinstance(bar, np.floating):
            keys["threshold"] = float(np.float32(bar))  # numpy compares in the array's precision
        return replace(shown, keys=_without_decision(shown) | keys)
    plain = members.shown(one)
    own = not (isinstance(plain, Head) and plain.decisions)
    if own and plain.n_outputs == 1 and plain.decision in ("logits", "scores"):
        return replace(plain, keys=plain.keys | keys)
    if plain.decision == "scores":
        raise Unsupported(f"its threshold is of {class_name(inner)}, whose scores are several")
    (score,) = members.decisions(program, one)
    return with_score(program, plain, score, **keys)


def _without_decision(one: AnyHead) -> dict[str, Any]:
    return {key: value for key, value in one.keys.items() if key != "decision"}


def _method(estimator: Any, inner: Any) -> str:
    asked = estimator._get_response_method()
    methods = [asked] if isinstance(asked, str) else asked
    return next(method for method in methods if hasattr(inner, method))


def _bar(estimator: Any) -> tuple[Any, Any]:
    """Return the threshold and the positive class, which is None if it is the second class."""
    if class_name(estimator) == "TunedThresholdClassifierCV":
        bar, label = estimator.best_threshold_, estimator._curve_scorer._get_pos_label()
    else:
        bar, label = estimator.threshold, estimator.pos_label
        if isinstance(bar, str):
            inner = getattr(estimator, "estimator_", estimator.estimator)
            bar = 0.5 if _method(estimator, inner) == "predict_proba" else 0.0
    if not np.isfinite(bar):
        raise Unsupported(f"its threshold is {bar}; fit it with a number")
    return bar, label
