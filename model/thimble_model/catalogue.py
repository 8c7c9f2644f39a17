"""The list of classes that people put into a pipeline: each exports, or is refused with a reason.

Each class has a line under its name; classes of libraries other than scikit-learn have their package's name
before it. Refusals quote these lines, parity is judged by their tolerances, and
`python -m thimble_infra.catalogue_page` writes them into model/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

TO_THE_BIT = 0.0
NEXT_DOUBLE = 2.3e-16
CLOSE = 1e-12
SINGLE = 1.2e-7  # a last digit of single precision
LOOSE = 1e-9  # where scikit-learn's own last digits are less exact


class Exports(NamedTuple):
    within: float = CLOSE  # the largest difference from the trainer's probability
    since: str = "0.1"


class Refused(NamedTuple):
    why: str
    nearest: str  # the nearest class that exports


Line = Exports | Refused

ROWS = "its answers need the training rows, which a document does not hold"
COLUMNS = "what it makes of a row needs the training rows, which a document does not hold"
SEARCH = "it searches for the numbers of each row anew, and stops where they are near enough"
LABELS = "it is for labels, not for columns"
REGRESSOR = "it predicts numbers, and Thimble classifies"
LAST = "it stands last in a pipeline; before others it is only a transformer of scores"
PAIRS = "no pipeline takes what it makes, a pair of tables"
DICTS = "it reads dicts, and a document reads columns"
UNWRITTEN = "its exact form is not written yet"
DISTANCES = "its distances lose their digits near a centre"

CLASSIFIERS: Mapping[str, Line] = {
    "AdaBoostClassifier": Exports(),
    "BaggingClassifier": Exports(),
    "BernoulliNB": Exports(),
    "CalibratedClassifierCV": Exports(),
    "CategoricalNB": Exports(),
    "ClassifierChain": Exports(),
    "ComplementNB": Exports(),
    "DecisionTreeClassifier": Exports(TO_THE_BIT),
    "DummyClassifier": Exports(TO_THE_BIT),
    "ExtraTreeClassifier": Exports(TO_THE_BIT),
    "ExtraTreesClassifier": Exports(TO_THE_BIT),
    "FixedThresholdClassifier": Exports(),
    "FrozenEstimator": Exports(),
    "GaussianNB": Exports(),
    "GaussianProcessClassifier": Refused(ROWS, "MLPClassifier"),
    "GradientBoostingClassifier": Exports(NEXT_DOUBLE),
    "GridSearchCV": Exports(),
    "HalvingGridSearchCV": Exports(),
    "HalvingRandomSearchCV": Exports(),
    "HistGradientBoostingClassifier": Exports(NEXT_DOUBLE),
    "KNeighborsClassifier": Refused(ROWS, "RandomForestClassifier"),
    "LabelPropagation": Refused(ROWS, "RandomForestClassifier"),
    "LabelSpreading": Refused(ROWS, "RandomForestClassifier"),
    "LinearDiscriminantAnalysis": Exports(),
    "LinearSVC": Exports(),
    "LogisticRegression": Exports(),
    "LogisticRegressionCV": Exports(),
    "MLPClassifier": Exports(),
    "MultiOutputClassifier": Exports(),
    "MultinomialNB": Exports(),
    "NearestCentroid": Exports(LOOSE),
    "NuSVC": Refused(ROWS, "LinearSVC after RBFSampler"),
    "OneVsOneClassifier": Exports(),
    "OneVsRestClassifier": Exports(),
    "OutputCodeClassifier": Exports(),
    "PassiveAggressiveClassifier": Exports(),
    "Perceptron": Exports(),
    "Pipeline": Exports(),
    "QuadraticDiscriminantAnalysis": Exports(),
    "RadiusNeighborsClassifier": Refused(ROWS, "RandomForestClassifier"),
    "RandomForestClassifier": Exports(TO_THE_BIT),
    "RandomizedSearchCV": Exports(),
    "RidgeClassifier": Exports(),
    "RidgeClassifierCV": Exports(),
    "SGDClassifier": Exports(),
    "SVC": Refused(ROWS, "LinearSVC after RBFSampler"),
    "SelfTrainingClassifier": Exports(),
    "StackingClassifier": Exports(),
    "TunedThresholdClassifierCV": Exports(),
    "VotingClassifier": Exports(),
    "catboost.CatBoost": Exports(NEXT_DOUBLE),
    "catboost.CatBoostClassifier": Exports(NEXT_DOUBLE),
    "imblearn.BalancedBaggingClassifier": Exports(),
    "imblearn.BalancedRandomForestClassifier": Exports(TO_THE_BIT),
    "imblearn.EasyEnsembleClassifier": Exports(),
    "imblearn.Pipeline": Exports(),
    "imblearn.RUSBoostClassifier": Exports(),
    "lightgbm.Booster": Exports(NEXT_DOUBLE),
    "lightgbm.LGBMClassifier": Exports(NEXT_DOUBLE),
    "xgboost.Booster": Exports(TO_THE_BIT),
    "xgboost.XGBClassifier": Exports(TO_THE_BIT),
    "xgboost.XGBRFClassifier": Exports(TO_THE_BIT),
}

TRANSFORMERS: Mapping[str, Line] = {
    "AdditiveChi2Sampler": Refused("it treats zeros apart", "SkewedChi2Sampler"),
    "BernoulliRBM": Exports(),
    "Binarizer": Exports(),
    "Birch": Refused(DISTANCES, "KBinsDiscretizer"),
    "BisectingKMeans": Refused(DISTANCES, "KBinsDiscretizer"),
    "CCA": Refused(PAIRS, "LinearDiscriminantAnalysis"),
    "ColumnTransformer": Exports(),
    "CountVectorizer": Exports(),
    "DictVectorizer": Refused(DICTS, "OneHotEncoder"),
    "DictionaryLearning": Refused(SEARCH, "TruncatedSVD"),
    "FactorAnalysis": Exports(LOOSE),
    "FastICA": Exports(LOOSE),
    "FeatureAgglomeration": Exports(),
    "FeatureHasher": Refused(DICTS, "OneHotEncoder"),
    "FeatureUnion": Exports(),
    "FrozenEstimator": Exports(),
    "FunctionTransformer": Exports(),
    "GaussianRandomProjection": Exports(),
    "GenericUnivariateSelect": Exports(),
    "HashingVectorizer": Exports(),
    "IncrementalPCA": Exports(LOOSE),
    "Isomap": Refused(COLUMNS, "PCA"),
    "IsotonicRegression": Refused(REGRESSOR, "KBinsDiscretizer"),
    "IterativeImputer": Exports(),
    "KBinsDiscretizer": Exports(),
    "KMeans": Refused(DISTANCES, "KBinsDiscretizer"),
    "KNNImputer": Refused(
        "what it fills in are means of the nearest training rows, which a document does not hold",
        'SimpleImputer(strategy="median")',
    ),
    "KNeighborsTransformer": Refused(COLUMNS, "PCA"),
    "KernelCenterer": Refused(COLUMNS, "RBFSampler"),
    "KernelPCA": Refused(COLUMNS, "PCA after RBFSampler"),
    "LabelBinarizer": Refused(LABELS, "OneHotEncoder"),
    "LabelEncoder": Refused(LABELS, "OrdinalEncoder"),
    "LatentDirichletAllocation": Refused(SEARCH, "TruncatedSVD"),
    "LinearDiscriminantAnalysis": Exports(LOOSE),
    "LocallyLinearEmbedding": Refused(COLUMNS, "PCA"),
    "MaxAbsScaler": Exports(),
    "MinMaxScaler": Exports(),
    "MiniBatchDictionaryLearning": Refused(SEARCH, "TruncatedSVD"),
    "MiniBatchKMeans": Refused(DISTANCES, "KBinsDiscretizer"),
    "MiniBatchNMF": Refused(SEARCH, "TruncatedSVD"),
    "MiniBatchSparsePCA": Refused(UNWRITTEN, "PCA"),
    "MissingIndicator": Exports(),
    "MultiLabelBinarizer": Refused(LABELS, "OneHotEncoder"),
    "NMF": Refused(SEARCH, "TruncatedSVD"),
    "NeighborhoodComponentsAnalysis": Exports(),
    "Normalizer": Exports(),
    "Nystroem": Refused(COLUMNS, "RBFSampler"),
    "OneHotEncoder": Exports(),
    "OrdinalEncoder": Exports(),
    "PCA": Exports(LOOSE),
    "PLSCanonical": Refused(PAIRS, "LinearDiscriminantAnalysis"),
    "PLSRegression": Refused(PAIRS, "LinearDiscriminantAnalysis"),
    "PLSSVD": Refused(PAIRS, "LinearDiscriminantAnalysis"),
    "PatchExtractor": Refused("it makes several rows of one", "PCA"),
    "Pipeline": Exports(),
    "PolynomialCountSketch": Refused("it goes through a Fourier transform", "PolynomialFeatures"),
    "PolynomialFeatures": Exports(),
    "PowerTransformer": Exports(LOOSE),
    "QuantileTransformer": Exports(LOOSE),
    "RBFSampler": Exports(LOOSE),
    "RFE": Exports(),
    "RFECV": Exports(),
    "RadiusNeighborsTransformer": Refused(COLUMNS, "PCA"),
    "RandomTreesEmbedding": Refused("a leaf has no number of its own in a document", "KBinsDiscretizer"),
    "RobustScaler": Exports(),
    "SelectFdr": Exports(),
    "SelectFpr": Exports(),
    "SelectFromModel": Exports(),
    "SelectFwe": Exports(),
    "SelectKBest": Exports(),
    "SelectPercentile": Exports(),
    "SequentialFeatureSelector": Exports(),
    "SimpleImputer": Exports(),
    "SkewedChi2Sampler": Exports(LOOSE),
    "SparseCoder": Refused(SEARCH, "TruncatedSVD"),
    "SparsePCA": Refused(UNWRITTEN, "PCA"),
    "SparseRandomProjection": Exports(),
    "SplineTransformer": Exports(),
    "StackingClassifier": Refused(LAST, "FeatureUnion"),
    "StackingRegressor": Refused(REGRESSOR, "LogisticRegression"),
    "StandardScaler": Exports(),
    "TSNE": Refused("it places the training rows alone", "PCA"),
    "TargetEncoder": Exports(),
    "TfidfTransformer": Exports(),
    "TfidfVectorizer": Exports(),
    "TruncatedSVD": Exports(),
    "VarianceThreshold": Exports(),
    "VotingClassifier": Refused(LAST, "FeatureUnion"),
    "VotingRegressor": Refused(REGRESSOR, "LogisticRegression"),
    "category_encoders.CountEncoder": Exports(),
    "category_encoders.OneHotEncoder": Exports(),
    "category_encoders.OrdinalEncoder": Exports(),
    "category_encoders.TargetEncoder": Exports(),
    "feature_engine.ArbitraryNumberImputer": Exports(),
    "feature_engine.CategoricalImputer": Exports(),
    "feature_engine.CountFrequencyEncoder": Exports(),
    "feature_engine.DatetimeFeatures": Refused(
        "a document has no form for dates", "its numbers, made before the pipeline"
    ),
    "feature_engine.MeanEncoder": Exports(),
    "feature_engine.MeanMedianImputer": Exports(),
    "feature_engine.OneHotEncoder": Exports(),
    "feature_engine.OrdinalEncoder": Exports(),
    "feature_engine.RareLabelEncoder": Exports(),
}


def name_of(kind: type) -> str:
    """Return a class's name in this list."""
    package = kind.__module__.partition(".")[0]
    return kind.__name__ if package == "sklearn" else f"{package}.{kind.__name__}"


def refusal(kind: type, lines: Mapping[str, Line]) -> str:
    """Return why a class does not export and the nearest that does; "" if the list does not refuse it."""
    line = lines.get(name_of(kind))
    if not isinstance(line, Refused):
        return ""
    return f"{line.why}; the nearest that exports is {line.nearest}"


def within(part: Any, answers: bool) -> float:
    """Return how far this part of a pipeline may move a document's probabilities from the trainer's.

    The part that answers is looked up as a classifier; any other may be a classifier or a transformer.
    """
    if getattr(part, "objective", None) == "multi:softmax":
        return SINGLE  # XGBoost's classifiers then take scipy's softmax, whose digits depend on the processor
    kinds = (CLASSIFIERS,) if answers else (CLASSIFIERS, TRANSFORMERS)
    found = [lines.get(name_of(type(part))) for lines in kinds]
    return max((line.within for line in found if isinstance(line, Exports)), default=TO_THE_BIT)


def tables() -> dict[str, list[str]]:
    """Return the tables of model/README.md by name, each as its lines."""
    return {
        "classifiers that export": _exporting(CLASSIFIERS),
        "classifiers that are refused": _refusing(CLASSIFIERS),
        "transformers that export": _exporting(TRANSFORMERS),
        "transformers that are refused": _refusing(TRANSFORMERS),
    }


def _exporting(lines: Mapping[str, Line]) -> list[str]:
    rows = [
        f"| `{name}` | {line.since} | {f'within {line.within:g}' if line.within else 'to the bit'} |"
        for name, line in sorted(lines.items())
        if isinstance(line, Exports)
    ]
    return ["| exports | since | its probabilities are the trainer's |", "|---|---|---|", *rows]


def _refusing(lines: Mapping[str, Line]) -> list[str]:
    rows = [
        f"| `{name}` | {line.why} | {line.nearest} |"
        for name, line in sorted(lines.items())
        if isinstance(line, Refused)
    ]
    return ["| refused | because | the nearest that exports |", "|---|---|---|", *rows]
