"""Turn fitted classifiers into networks over the columns that reach them.

A linear model is a network without hidden layers. A multilayer perceptron decides on probabilities, a linear
model on logits; this matters if two of them round to a tie. Ensembles are lowered to steps: their members'
scores become columns, and the network combines them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    PassiveAggressiveClassifier,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted

from thimble.inference.head import Label
from thimble_model import bayes, catalogue, ensembles, forests, members, wrappers
from thimble_model.forests import ForestHead, is_forest, kind
from thimble_model.labels import labels
from thimble_model.networks import AnyHead, FloatArray, Head, head, identity_head, lowered, side_by_side
from thimble_model.program import Column, Program
from thimble_model.transformers import located, transform, unsupported
from thimble_model.trees import spelled
from thimble_model.unsupported import Unsupported, class_name
from thimble_model.wrappers import Place, Through, innermost, through

Columns = list[Column]

LOSS_CURVE_POINTS = 100
HISTORY = ("n_iter", "t", "loss", "best_loss", "best_validation_score", "loss_curve", "validation_scores")


def heads_of(
    program: Program, estimator: Any, columns: Columns, place: Place = (), outputs: Sequence[str] = ()
) -> list[AnyHead]:
    """Return a classifier's networks or forests: one, or one for each output. `outputs` names the outputs."""
    if found := through(estimator):
        return heads_of(program, *_behind(program, found, columns, place), outputs=outputs)
    if type(estimator) is not MultiOutputClassifier:
        return [classify(program, estimator, columns, place)]
    require_fitted(estimator, place)
    heads = side_by_side(
        members.of_one_kind(
            program,
            [classify(program, one, columns, (*place, "estimator")) for one in estimator.estimators_],
        )
    )
    if len(outputs) != len(heads):
        outputs = [str(i) for i in range(len(heads))]
    return [replace(one, keys={"name": name, **one.keys}) for name, one in zip(outputs, heads, strict=True)]


def _networks(heads: Sequence[AnyHead]) -> list[Head]:
    return [one for one in heads if isinstance(one, Head)]


def _behind(program: Program, wrapper: Through, columns: Columns, place: Place) -> tuple[Any, Columns, Place]:
    """Return the estimator that answers for a wrapper, the columns that reach it, and its place."""
    try:
        for name, step in wrapper.steps:
            columns = transform(program, step, columns, (*place, name))
    except Unsupported as error:
        raise Refusal(str(error)) from None
    return wrapper.last, columns, wrapper.place(place)


def require_fitted(estimator: Any, place: Place = ()) -> None:
    """Raise Unsupported unless this is a fitted, known classifier. Call this before using the estimator."""
    if found := through(estimator):
        require_fitted(found.last, found.place(place))
    elif kind(estimator) not in (*CLASSIFIERS, *ENSEMBLES, MultiOutputClassifier) and not is_forest(
        estimator
    ):
        raise _refused(estimator, place)
    else:
        try:
            check_is_fitted(estimator)
        except NotFittedError:
            raise Refusal(f"{located(estimator, place)} is not fitted: call its fit(X, y) first") from None


def classify(program: Program, estimator: Any, columns: Columns, place: Place) -> AnyHead:
    """Return a classifier's network or forest.

    Raises Unsupported, which names the step that has no exact form and what is supported.
    """
    if found := through(estimator):
        return classify(program, *_behind(program, found, columns, place))
    if kind(estimator) not in (*CLASSIFIERS, *ENSEMBLES) and not is_forest(estimator):
        raise _refused(estimator, place)
    require_fitted(estimator, place)
    try:
        if kind(estimator) in ENSEMBLES and not _is_one_forest(estimator):
            if not isinstance(estimator.classes_, list) and len(estimator.classes_) < 2:
                raise Unsupported("it was fitted on one class only, and tells nothing apart")
            return ENSEMBLES[kind(estimator)](program, estimator, columns, place, classify)
        if len(estimator.classes_) < 2 and not is_forest(estimator):
            raise Unsupported("it was fitted on one class only, and tells nothing apart")
        if not columns:
            raise Unsupported("no column reaches it")
        if is_forest(estimator):
            forests.require_one_output(estimator)
            return forests.grown(program, estimator, columns, labels(estimator.classes_))
        if type(estimator) in LEAVES:
            program.forbid_missing(columns)  # a missing value would make the answer NaN
            program.numbers(columns)
        return CLASSIFIERS[kind(estimator)](program, estimator, columns, place)
    except Refusal:
        raise
    except Unsupported as error:
        raise Refusal(f"{located(estimator, place)}: {error}") from None


def _refused(estimator: Any, place: Place) -> Refusal:
    if isinstance(estimator, RegressorMixin) or getattr(estimator, "_estimator_type", "") == "regressor":
        return Refusal(
            f"{located(estimator, place)} is a regressor: it answers with a number, and Thimble classifies; "
            "fit a classifier, on labels (such as ranges of the number)"
        )
    return Refusal(str(unsupported(estimator, place, SUPPORTED, catalogue.CLASSIFIERS)))


def _is_one_forest(estimator: Any) -> bool:
    return is_forest(estimator) and ensembles.of_trees(estimator)


class Refusal(Unsupported):
    """A refusal that already names its place in the pipeline."""


def mlp(program: Program, estimator: MLPClassifier, columns: Columns, place: Place) -> Head:
    return head(
        [column.index for column in columns],
        estimator.coefs_,
        estimator.intercepts_,
        classes=labels(estimator.classes_),
        activation=estimator.activation,
        out_activation=estimator.out_activation_,
    )


def logistic_regression(program: Program, estimator: Any, columns: Columns, place: Place) -> Head:
    if getattr(estimator, "multi_class", "auto") == "ovr" and len(estimator.classes_) > 2:
        return linear(estimator, columns, "logistic", normalize="uniform")
    return linear(estimator, columns, "logistic" if len(estimator.classes_) == 2 else "softmax")


def discriminant_analysis(program: Program, estimator: Any, columns: Columns, place: Place) -> Head:
    return linear(estimator, columns, "logistic" if len(estimator.classes_) == 2 else "softmax")


def sgd(program: Program, estimator: SGDClassifier, columns: Columns, place: Place) -> Head:
    activation = {"log_loss": "logistic", "modified_huber": "modified_huber"}.get(estimator.loss)
    if activation is None:
        return scores(program, estimator, columns, place)
    several = len(estimator.classes_) > 2
    return linear(estimator, columns, activation, normalize="uniform" if several else None)


def dummy(program: Program, estimator: DummyClassifier, columns: Columns, place: Place) -> Head:
    """The same probabilities for every row."""
    if isinstance(estimator.classes_, list):
        raise Unsupported("it has several outputs; fit it inside a MultiOutputClassifier")
    if estimator.strategy in ("stratified", "uniform"):
        raise Unsupported(
            f"strategy={estimator.strategy!r}, whose labels are drawn at random; supported are 'prior', "
            "'most_frequent' and 'constant'"
        )
    (always,) = estimator.predict_proba(np.zeros((1, 1)))
    given, n = [column.index for column in columns], len(always)
    made = program.add("linear", given, width=n, coefs=np.zeros((len(given), n)), intercepts=always)
    return identity_head([column.index for column in made], classes=labels(estimator.classes_))


def scores(program: Program, estimator: Any, columns: Columns, place: Place) -> Head:
    """A linear model without probabilities."""
    return linear(estimator, columns, "identity", decision="scores")


def ridge(program: Program, estimator: RidgeClassifier, columns: Columns, place: Place) -> Head:
    multilabel = estimator._label_binarizer.y_type_.startswith("multilabel") or None
    return linear(estimator, columns, "identity", decision="scores", multilabel=multilabel)


def linear(
    estimator: Any, columns: Columns, out_activation: str, decision: str = "logits", **keys: Any
) -> Head:
    coef = estimator.coef_.toarray() if hasattr(estimator.coef_, "toarray") else estimator.coef_  # sparsify()
    coef = np.atleast_2d(coef)  # RidgeClassifier with two classes has a vector
    return head(
        [column.index for column in columns],
        [coef.T],
        [np.broadcast_to(estimator.intercept_, len(coef))],
        classes=labels(estimator.classes_),
        out_activation=out_activation,
        decision=decision,
        **keys,
    )


def calibrated(program: Program, estimator: CalibratedClassifierCV, columns: Columns, place: Place) -> Head:
    """Average the members' calibrated probabilities: sum them in order, then divide by their number."""
    if estimator.method == "temperature" and len(estimator.classes_) > 2:
        raise Unsupported(
            "method='temperature' of three classes or more: what scikit-learn makes of a row then depends on "
            "the rows beside it (scores that happen to sum to 1 are taken for probabilities); supported are "
            "'sigmoid' and 'isotonic', and 'temperature' of two classes"
        )
    first, *others = estimator.calibrated_classifiers_
    if not others and len(estimator.classes_) == 2 and first.method != "isotonic":
        return _calibrated_alone(program, first, columns, (*place, "estimator"))
    found = [
        _calibrated_member(program, member, columns, (*place, "estimator"))
        for member in estimator.calibrated_classifiers_
    ]
    n, n_classes = len(found), len(estimator.classes_)
    together = np.tile(np.eye(n_classes), (n, 1))
    sums = program.add(
        "linear",
        [index for member in found for index in member],
        width=n_classes,
        coefs=together,
        intercepts=np.zeros(n_classes),
    )
    means = program.add("scale", [column.index for column in sums], divide=np.full(n_classes, float(n)))
    return identity_head([column.index for column in means], classes=labels(estimator.classes_))


def _calibrated_member(program: Program, member: Any, columns: Columns, place: Place) -> list[int]:
    """Return the columns of a member's calibrated probabilities, one for each class."""
    raw = _calibrated_numbers(program, member, columns, place)
    indices = (_isotonic if member.method == "isotonic" else _sigmoid)(program, member, raw)
    if len(indices) > 1:
        return [column.index for column in program.add("normalize", indices, width=len(indices), norm="sum")]
    (rest,) = program.add("scale", indices, subtract=np.ones(1), multiply=-np.ones(1))  # 1 - p
    if _has_single_curves(member):  # its rounding may end above 1
        indices = [column.index for column in program.add("scale", indices, maximum=np.ones(1))]
    return [rest.index, *indices]


def _sigmoid(program: Program, member: Any, raw: list[int]) -> list[int]:
    multiply, add = _calibrated_scale(member)
    scaled = program.add("scale", raw, multiply=multiply, add=add)
    made = program.add("function", [column.index for column in scaled], name="logistic")
    return [column.index for column in made]


def _isotonic(program: Program, member: Any, raw: list[int]) -> list[int]:
    single = _has_single_curves(member)
    x, y = (
        [spelled(getattr(c, key), single) for c in member.calibrators]
        for key in ("X_thresholds_", "y_thresholds_")
    )
    made = program.add("interpolate", raw, x=x, y=y, input_type="float32" if single else None)
    return [column.index for column in made]


def _has_single_curves(member: Any) -> bool:
    """Return whether an isotonic member was fitted on numbers of single precision, as XGBoost's are."""
    return member.method == "isotonic" and bool(member.calibrators[0].X_thresholds_.dtype == np.float32)


def _calibrated_alone(program: Program, member: Any, columns: Columns, place: Place) -> Head:
    """A lone member of two classes: the logistic function of its score, scaled and shifted."""
    raw = _calibrated_numbers(program, member, columns, place)
    multiply, add = _calibrated_scale(member)
    return head(raw, [multiply[np.newaxis]], [add], classes=labels(member.classes), out_activation="logistic")


def _calibrated_scale(member: Any) -> tuple[FloatArray, FloatArray]:
    """Return the factors and the offsets of the scores before the logistic function."""
    if member.method == "temperature":  # the softmax of -βz and βz
        return np.full(1, 2.0 * float(member.calibrators[0].beta_)), np.zeros(1)
    a, b = (np.array([getattr(c, key) for c in member.calibrators]) for key in ("a_", "b_"))
    return -a, -b


def _calibrated_numbers(program: Program, member: Any, columns: Columns, place: Place) -> list[int]:
    """Return the columns that are calibrated: scores if the member has them, else probabilities.

    With two classes, these are the second class's only.
    """
    one = classify(program, member.estimator, columns, place)
    if len(member.estimator.classes_) != len(member.classes):
        raise Unsupported("one of its members has not seen every class")
    decides = hasattr(member.estimator, "decision_function")
    if _has_single_curves(member) and (decides or not ensembles.is_single(program, one)):
        raise Unsupported(
            f"method='isotonic' over {class_name(member.estimator)}, which was fitted on columns of single "
            "precision: the curve rounds its scores to that; fit it on float64"
        )
    if decides:
        if isinstance(one, Head):
            return lowered(program, one) if members.is_linear(one) else members.decisions(program, one)
        return forests.decisions(program, one)
    if member.method == "temperature":
        raise Unsupported(
            f"method='temperature' over {class_name(member.estimator)}, which has no decision_function: "
            "scikit-learn then takes logarithms of its probabilities, for which a document has no form; "
            "supported are 'sigmoid' and 'isotonic'"
        )
    if isinstance(one, Head):
        likely = members.probabilities(program, one)
    else:
        likely = forests.probabilities(program, one)
    return likely[-1:] if len(one.classes) == 2 else likely


def one_vs_rest(program: Program, estimator: OneVsRestClassifier, columns: Columns, place: Place) -> AnyHead:
    for member in estimator.estimators_:
        if class_name(member) == "_ConstantPredictor":
            raise Unsupported("one of its classes is in every row of the training data, or in none")
    heads = [classify(program, one, columns, (*place, "estimator")) for one in estimator.estimators_]
    classes = labels(estimator.classes_)
    multilabel = estimator.multilabel_
    decides = hasattr(estimator.estimators_[0], "decision_function")
    if len(heads) == 1:
        return members.relabelled(ensembles.one_of_two(program, heads[0], decides), classes)
    first = heads[0].keys
    if not members.alike(heads, decides):
        likely = hasattr(estimator.estimators_[0], "predict_proba")
        return ensembles.one_vs_rest(program, heads, likely, decides, multilabel, classes)
    grown = [one for one in heads if isinstance(one, ForestHead)]
    if grown:
        return _forests_vs_rest(program, grown, decides, multilabel, classes)
    if not decides:
        positive = [_positive(program, one) for one in _networks(heads)]
        if multilabel:
            return identity_head(positive, classes=classes, multilabel=True)
        return identity_head(positive, classes=classes, decision="logits", normalize="zero")
    flat = _networks(side_by_side(heads))
    keys = {"classes": classes, "out_activation": first["out_activation"], "decision": heads[0].decision}
    if heads[0].decision == "scores":
        keys |= {"multilabel": True} if multilabel else {}
    elif not multilabel:
        keys |= {"normalize": "zero"}
    elif first["out_activation"] != "logistic":
        keys |= {"multilabel": True}
    coefs = np.hstack([one.coefs[0] for one in flat])
    return head(flat[0].inputs, [coefs], [np.concatenate([one.intercepts[0] for one in flat])], **keys)


def _forests_vs_rest(
    program: Program, grown: Sequence[ForestHead], decides: bool, multilabel: bool, classes: list[Label]
) -> Head:
    """Combine forests that each tell one class from all others, by scores if they have them."""
    first = grown[0].keys
    if not decides:
        likely = [forests.probabilities(program, one)[-1] for one in grown]
        if multilabel:
            return identity_head(likely, classes=classes, multilabel=True)
        single = first["out_activation"].endswith("32")
        return identity_head(
            likely, classes=classes, decision="logits", normalize="zero32" if single else "zero"
        )
    scores = [index for one in grown for index in forests.decisions(program, one)]
    n = len(scores)
    return head(
        scores,
        [np.eye(n)],
        [np.zeros(n)],
        classes=classes,
        out_activation="logistic",
        temperature=first.get("temperature") if len(grown[0].forest["base"]) == 1 else None,
        decision="logits",
        normalize=None if multilabel else "zero",
    )


def _positive(program: Program, network: Head) -> int:
    """Return the column of the second class's probability."""
    logits = lowered(program, network)
    activation = network.keys["out_activation"]
    if activation == "identity":
        return logits[-1]
    if activation == "softmax":  # of two logits: the logistic function of their difference
        logits = members.of_two(program, logits)
    return program.add("function", logits, name="logistic")[0].index


LEAVES: dict[type, Callable[[Program, Any, Columns, Place], Head]] = {
    BernoulliNB: bayes.bernoulli,
    CategoricalNB: bayes.categorical,
    ComplementNB: bayes.complement,
    DummyClassifier: dummy,
    GaussianNB: bayes.gaussian,
    LinearDiscriminantAnalysis: discriminant_analysis,
    LinearSVC: scores,
    LogisticRegression: logistic_regression,
    LogisticRegressionCV: logistic_regression,
    MLPClassifier: mlp,
    MultinomialNB: bayes.multinomial,
    NearestCentroid: bayes.nearest_centroid,
    PassiveAggressiveClassifier: scores,
    Perceptron: scores,
    QuadraticDiscriminantAnalysis: bayes.quadratic,
    RidgeClassifier: ridge,
    RidgeClassifierCV: ridge,
    SGDClassifier: sgd,
}
CLASSIFIERS: dict[type, Callable[[Program, Any, Columns, Place], AnyHead]] = {
    **LEAVES,
    CalibratedClassifierCV: calibrated,
    OneVsRestClassifier: one_vs_rest,
}
ENSEMBLES: dict[type, Callable[[Program, Any, Columns, Place, ensembles.Classify], AnyHead]] = {
    AdaBoostClassifier: ensembles.ada_boost,
    BaggingClassifier: ensembles.bagging,
    ClassifierChain: ensembles.chain,
    FixedThresholdClassifier: ensembles.threshold,
    OneVsOneClassifier: ensembles.one_vs_one,
    OutputCodeClassifier: ensembles.output_code,
    StackingClassifier: ensembles.stacking,
    TunedThresholdClassifierCV: ensembles.threshold,
    VotingClassifier: ensembles.voting,
}
SUPPORTED = tuple(
    dict.fromkeys(
        (
            *(kind.__name__ for kind in (*CLASSIFIERS, *ENSEMBLES, MultiOutputClassifier)),
            *wrappers.NAMES,
            *forests.NAMES,
            *forests.BALANCED,
        )
    )
)


def history(estimator: Any) -> dict[str, Any]:
    """Return how the training went, as far as the estimator knows. A long loss curve is thinned evenly."""
    estimator = innermost(estimator)
    found = {key: getattr(estimator, f"{key}_", None) for key in HISTORY}
    return {key: _plain(value) for key, value in found.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [float(v) for v in _thinned(value)]
    return int(np.max(value)) if np.asarray(value).dtype.kind in "iu" else float(value)


def _thinned(curve: list[Any]) -> list[Any]:
    if len(curve) <= LOSS_CURVE_POINTS:
        return curve
    kept = np.linspace(0, len(curve) - 1, LOSS_CURVE_POINTS).round().astype(int)
    return [curve[i] for i in kept]
