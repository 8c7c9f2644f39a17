"""Every classifier and transformer of scikit-learn exports with parity, or is refused as it is listed."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import (
    compose,
    cross_decomposition,
    decomposition,
    ensemble,
    feature_extraction,
    feature_selection,
    impute,
    isotonic,
    kernel_approximation,
    linear_model,
    model_selection,
    multiclass,
    multioutput,
    preprocessing,
    random_projection,
    semi_supervised,
)
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_extraction import image, text
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import all_estimators

from thimble.inference.classifier import load
from thimble_infra import catalogue_page, page_blocks
from thimble_model import Unsupported, catalogue, export
from thimble_model.catalogue import Exports, Refused
from thimble_model.estimators import SUPPORTED
from thimble_model.frames import as_batch, as_table
from thimble_model.others import OTHERS
from thimble_model.parity import parity
from thimble_model.transformers import NESTS, TRANSFORMERS

pytestmark = pytest.mark.filterwarnings("ignore")

RNG = np.random.default_rng(5)
N = 60
LABELS = np.array(["a", "b", "c"])[np.arange(N) % 3]
NUMBERS = pd.DataFrame(RNG.normal(size=(N, 4)).round(3), columns=list("pqrs")) + (np.arange(N) % 3)[:, None]
POSITIVE = NUMBERS.abs() + 0.5
COUNTS = pd.DataFrame(RNG.poisson(2, (N, 4)) + (np.arange(N) % 3)[:, None], columns=list("pqrs"))
GAPS = NUMBERS.mask(RNG.random((N, 4)) < 0.2)
WORDS = RNG.choice(np.array(["ant", "bee", "cat", "dog"], object), (N, 2))
CATEGORIES = pd.DataFrame(WORDS, columns=["x", "y"])
TEXTS = [" ".join(RNG.choice(["ant", "bee", "cat", "dog", "eel"], 5)) for _ in range(N)]
DICTS = [{"a": float(value), "b": 1.0} for value in NUMBERS["p"]]
SEVERAL = np.column_stack([LABELS, LABELS[::-1]])
MEMBERS = [("l", LogisticRegression()), ("m", LogisticRegression(C=0.1))]
LINEAR = linear_model.LogisticRegression()

MADE: dict[type, Any] = {  # how to make those that lack a default, or take long with it
    compose.ColumnTransformer: lambda: compose.ColumnTransformer(
        [("s", preprocessing.StandardScaler(), ["p"])], remainder="passthrough"
    ),
    cross_decomposition.CCA: lambda: cross_decomposition.CCA(1),
    cross_decomposition.PLSCanonical: lambda: cross_decomposition.PLSCanonical(1),
    cross_decomposition.PLSSVD: lambda: cross_decomposition.PLSSVD(1),
    decomposition.DictionaryLearning: lambda: decomposition.DictionaryLearning(2, max_iter=2),
    decomposition.LatentDirichletAllocation: lambda: decomposition.LatentDirichletAllocation(2, max_iter=2),
    decomposition.MiniBatchDictionaryLearning: lambda: decomposition.MiniBatchDictionaryLearning(
        2, max_iter=2
    ),
    decomposition.SparseCoder: lambda: decomposition.SparseCoder(np.eye(4)),
    ensemble.StackingClassifier: lambda: ensemble.StackingClassifier(MEMBERS),
    ensemble.StackingRegressor: lambda: ensemble.StackingRegressor([("t", DecisionTreeRegressor())]),
    ensemble.VotingClassifier: lambda: ensemble.VotingClassifier(MEMBERS),
    ensemble.VotingRegressor: lambda: ensemble.VotingRegressor([("t", DecisionTreeRegressor())]),
    feature_extraction.FeatureHasher: lambda: feature_extraction.FeatureHasher(4),
    feature_selection.RFE: lambda: feature_selection.RFE(LINEAR, n_features_to_select=2),
    feature_selection.RFECV: lambda: feature_selection.RFECV(LINEAR, cv=2),
    feature_selection.SelectFromModel: lambda: feature_selection.SelectFromModel(LINEAR),
    feature_selection.SelectKBest: lambda: feature_selection.SelectKBest(k=2),
    feature_selection.SequentialFeatureSelector: lambda: feature_selection.SequentialFeatureSelector(
        LINEAR, n_features_to_select=1, cv=2
    ),
    kernel_approximation.RBFSampler: lambda: kernel_approximation.RBFSampler(n_components=9, random_state=0),
    linear_model.SGDClassifier: lambda: linear_model.SGDClassifier(random_state=0),
    model_selection.FixedThresholdClassifier: lambda: model_selection.FixedThresholdClassifier(LINEAR),
    model_selection.TunedThresholdClassifierCV: lambda: model_selection.TunedThresholdClassifierCV(
        LINEAR, cv=2
    ),
    multiclass.OneVsOneClassifier: lambda: multiclass.OneVsOneClassifier(LINEAR),
    multiclass.OneVsRestClassifier: lambda: multiclass.OneVsRestClassifier(LINEAR),
    multiclass.OutputCodeClassifier: lambda: multiclass.OutputCodeClassifier(LINEAR, random_state=0),
    multioutput.ClassifierChain: lambda: multioutput.ClassifierChain(LINEAR),
    multioutput.MultiOutputClassifier: lambda: multioutput.MultiOutputClassifier(LINEAR),
    FeatureUnion: lambda: FeatureUnion([("s", preprocessing.StandardScaler())]),
    preprocessing.FunctionTransformer: lambda: preprocessing.FunctionTransformer(np.arctan),
    random_projection.GaussianRandomProjection: lambda: random_projection.GaussianRandomProjection(2),
    random_projection.SparseRandomProjection: lambda: random_projection.SparseRandomProjection(2),
    semi_supervised.SelfTrainingClassifier: lambda: semi_supervised.SelfTrainingClassifier(LINEAR),
    text.HashingVectorizer: lambda: text.HashingVectorizer(n_features=16),
}
GIVEN: dict[type, Any] = {  # the rows that it is fitted on, where plain numbers will not do
    **dict.fromkeys((text.HashingVectorizer, text.CountVectorizer, text.TfidfVectorizer), TEXTS),
    **dict.fromkeys((feature_extraction.DictVectorizer, feature_extraction.FeatureHasher), DICTS),
    **dict.fromkeys(
        (preprocessing.OneHotEncoder, preprocessing.OrdinalEncoder, preprocessing.TargetEncoder), CATEGORIES
    ),
    **dict.fromkeys((impute.SimpleImputer, impute.KNNImputer, impute.IterativeImputer), GAPS),
    impute.MissingIndicator: GAPS,
    isotonic.IsotonicRegression: NUMBERS["p"],
    kernel_approximation.SkewedChi2Sampler: POSITIVE,
    preprocessing.KernelCenterer: NUMBERS @ NUMBERS.T,
    text.TfidfTransformer: COUNTS,
    image.PatchExtractor: RNG.random((N, 4, 4)),
}
OF_LABELS = (preprocessing.LabelEncoder, preprocessing.LabelBinarizer, preprocessing.MultiLabelBinarizer)
WANTED: dict[type, Any] = dict.fromkeys(  # labels that are numbers
    (
        cross_decomposition.CCA,
        cross_decomposition.PLSCanonical,
        cross_decomposition.PLSRegression,
        cross_decomposition.PLSSVD,
        ensemble.StackingRegressor,
        ensemble.VotingRegressor,
        isotonic.IsotonicRegression,
    ),
    np.arange(N) % 3,
)


def kinds(role: str) -> list[type]:
    beside = [text.CountVectorizer, text.TfidfVectorizer] if role == "transformer" else []
    found = [kind for _, kind in all_estimators(type_filter=role) if not kind.__name__.startswith("_")]
    return sorted({*found, *beside}, key=lambda kind: kind.__name__)


def rows_for(kind: type) -> Any:
    if kind in GIVEN:
        return GIVEN[kind]
    tags = getattr(MADE.get(kind, kind)(), "__sklearn_tags__", None)
    wants = tags().input_tags if tags else None
    if kind.__name__ in ("CategoricalNB", "BernoulliNB", "MultinomialNB", "ComplementNB"):
        return COUNTS
    return POSITIVE if wants is not None and wants.positive_only else NUMBERS


def fitted_classifier(kind: type) -> tuple[Any, Any, Any]:
    X: Any = rows_for(kind)
    y: Any = LABELS.astype(object) if kind is semi_supervised.SelfTrainingClassifier else LABELS
    if kind.__name__ in ("FixedThresholdClassifier", "TunedThresholdClassifierCV"):
        y = np.where(LABELS == "a", 1, 0)
    if kind in (multioutput.MultiOutputClassifier, multioutput.ClassifierChain):
        y = SEVERAL if kind is multioutput.MultiOutputClassifier else (SEVERAL == "a").astype(int)
    return MADE.get(kind, kind)().fit(X, y), X, y


def fitted_transformer(kind: type) -> tuple[Any, Any, Any]:
    """A pipeline of it and a classifier; one that is refused is put together, as not all can be fitted so."""
    X, estimator = rows_for(kind), MADE.get(kind, kind)()
    if isinstance(catalogue.TRANSFORMERS[kind.__name__], Exports):
        return make_pipeline(estimator, LogisticRegression(max_iter=500)).fit(X, LABELS), X, LABELS
    if kind not in OF_LABELS:
        estimator.fit(X, WANTED.get(kind, LABELS))
    return make_pipeline(estimator, LogisticRegression().fit(NUMBERS, LABELS)), None, None


FITTED = {"classifier": fitted_classifier, "transformer": fitted_transformer}
LINES = {"classifier": catalogue.CLASSIFIERS, "transformer": catalogue.TRANSFORMERS}
WALK = [(role, kind) for role in FITTED for kind in kinds(role)]


@pytest.mark.parametrize(("role", "kind"), WALK, ids=[f"{role}-{kind.__name__}" for role, kind in WALK])
def test_every_class_of_scikit_learn_exports_or_is_refused_as_it_is_listed(role: str, kind: type) -> None:
    line = LINES[role][kind.__name__]
    estimator, X, y = FITTED[role](kind)
    if isinstance(line, Refused):
        with pytest.raises(Unsupported) as refusal:
            export(estimator, X, y)
        sentence = f"is not supported: {line.why}; the nearest that exports is {line.nearest}"
        assert re.fullmatch(rf"(step .* \()?{kind.__name__}\)? {re.escape(sentence)}", str(refusal.value))
        return
    classifier = load(export(estimator, X, y))
    found = parity(classifier, estimator, as_table(estimator, X))
    assert found.holds, found
    assert found.worst <= max(line.within, catalogue.CLOSE if role == "transformer" else 0.0)
    whole = classifier.predict(as_batch(classifier.features, as_table(estimator, X)))
    for at in (0, 7, N - 1):
        alone = classifier.predict(as_batch(classifier.features, as_table(estimator, X[at : at + 1])))
        for many, one in zip(whole.outputs, alone.outputs, strict=True):
            assert many.probabilities[:, [at]].tobytes() == one.probabilities.tobytes()


def exported(role: str) -> set[str]:
    return {name for name, line in LINES[role].items() if isinstance(line, Exports)}


def test_the_catalogue_lists_what_the_exporter_takes() -> None:
    taken = {catalogue.name_of(kind) for kind in (*TRANSFORMERS, *NESTS)}
    assert exported("transformer") == {*taken, *OTHERS, "FrozenEstimator", "Pipeline"}
    bare = {name.rpartition(".")[2] for name in exported("classifier")}
    assert bare == {*SUPPORTED, "CatBoost"}


def test_what_is_named_as_the_nearest_exports() -> None:
    found = exported("classifier") | exported("transformer")
    for name, line in [*catalogue.CLASSIFIERS.items(), *catalogue.TRANSFORMERS.items()]:
        if isinstance(line, Refused):
            assert (
                any(one in line.nearest for one in found)
                or "in it" in line.nearest
                or "before the" in line.nearest
            ), name


@pytest.mark.parametrize("name", catalogue.tables())
def test_the_tables_of_the_page_are_the_catalogues(name: str) -> None:
    written = page_blocks.read(catalogue_page.PAGE, name)
    assert written == catalogue.tables()[name], "python -m thimble_infra.catalogue_page"
