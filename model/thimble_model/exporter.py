"""Export a fitted estimator as the bytes of a model document, checked before they are returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import sklearn

from thimble.errors import InvalidModel
from thimble.inference.classifier import EXAMPLES_TOLERANCE, Classifier, load
from thimble.inference.document import FORMAT, FORMAT_VERSION
from thimble.inference.preprocessing import Preprocessing
from thimble.inference.steps.categories import Encode
from thimble.inference.steps.text import Text
from thimble_model import boosters, histograms, means, sets, text
from thimble_model.arguments import require_estimator, require_rows
from thimble_model.estimators import heads_of, history, require_fitted
from thimble_model.forests import without_counts
from thimble_model.forms import absent, dates_in, type_of
from thimble_model.frames import (
    TEXT,
    Table,
    as_batch,
    as_table,
    column,
    data_digest,
    estimator_input,
    is_frame,
    is_sparse,
    json_rows,
    known_names,
    n_columns,
    names_in,
    require_free_names,
    require_one_form,
    take,
    with_short_texts,
)
from thimble_model.networks import AnyHead, embedded, folded
from thimble_model.parity import all_numbers, expected, require_parity, tolerance
from thimble_model.program import Program, document_keys
from thimble_model.scoring import measured, scored
from thimble_model.text_lowering import lowered
from thimble_model.unsupported import Unsupported
from thimble_model.wrappers import plain

FEWEST_EXAMPLES, MOST_EXAMPLES = 3, 5


def export(
    estimator: Any,
    X: Any = None,
    y: Any = None,
    *,
    classes: Sequence[Any] | None = None,
    name: str = "",
    scores: Mapping[str, float] | None = None,
    trained: datetime | None = None,
    trainer: str | None = None,
    target: Sequence[str] = (),
    held_out: tuple[Any, Any] | None = None,
    calibration: tuple[Any, Any] | None = None,
    abstain_below: float | None = None,
    card: Mapping[str, str] | None = None,
    with_history: bool = True,
    explain: bool = True,
) -> bytes:
    """Return the model document of a fitted classifier. The same arguments give the same bytes.

    - `X`, the training rows (a DataFrame, an array, a sparse matrix or lists), gives the document its
      examples, the digest of the training data, and feature names if the estimator has none.
    - `y`, their labels, gives it scores on these rows; `scores` adds others.
    - `classes` are those of a bare booster (XGBoost's, LightGBM's, CatBoost's), in the order of the codes
      that it was trained on.
    - `trainer` is the version of scikit-learn that trained the estimator, if it is not the installed one.
    - `target` names the labels' columns.
    - `held_out` holds rows and labels that the estimator has not seen. They are scored separately.
    - `calibration` holds such rows and labels too. They give the thresholds of sets of labels, and are
      scored if there is no `held_out`.
    - `abstain_below`: the model gives no label if its probability (or score) is below this.
    - `card` holds texts for people under `summary`, `use`, `not_for`, `limits`, `data`, `owner`,
      `contact`, `licence` and `link`.
    - `with_history` keeps how the training went, such as the loss curve.
    - `explain` keeps a forest's counts of the training rows; without them it cannot explain its answers.

    Raises Unsupported if the estimator has no exact document or `calibration` has too few rows, and
    InvalidInput if the estimator refuses the rows.
    """
    estimator = plain(boosters.classifier(estimator, classes))
    require_estimator(estimator)
    require_fitted(estimator)
    require_rows(estimator, X, y)
    if held_out is not None:
        require_rows(estimator, *held_out, said="held_out")
    if calibration is not None:
        require_rows(estimator, *calibration, said="calibration")
    table = None if X is None else as_table(estimator, X)
    names = _feature_names(estimator, table)
    program = _program(estimator, table, names)
    heads = heads_of(program, estimator, program.features(), outputs=_output_names(y))
    heads = lowered(program, embedded(program, folded(program, heads)))
    preprocessing = document_keys(program, heads[0].inputs)
    document: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": name,
        **({"feature_names_in": names} if names else {}),
        "n_features_in": len(program.names),
        **({"preprocessing": preprocessing} if preprocessing else {}),
        **_head_keys(heads),
    }
    if not explain:
        document = without_counts(document)
    if abstain_below is not None:
        document = _with_answers(document, [{"abstain_below": abstain_below}] * len(heads))
    try:
        classifier = load(dumps(document))
    except InvalidModel as error:
        raise Unsupported(f"The document would be refused: {error}") from None
    require_free_names(classifier)
    samples = as_table(estimator, made_rows(classifier)) if table is None else table
    require_parity(classifier, estimator, samples)
    counted = None
    if table is not None:
        counted = histograms.answered(classifier, as_batch(classifier.features, table))
        document |= means.document_keys(document, classifier, counted[0])
    if calibration is not None:
        document = _with_answers(document, _calibrated(estimator, classifier, calibration, table, y))
        held_out = held_out or calibration
    document |= {
        **_examples(classifier, estimator, samples),
        **({} if counted is None else histograms.document_key(classifier, *counted)),
        "training": {
            **_training(estimator, classifier, table, y, scores or {}, trained, trainer),
            **({"target": list(target)} if target else {}),
            **({} if held_out is None else {"held_out": measured(estimator, classifier, *held_out)}),
            **({} if counted is None else {"features": histograms.drawn(classifier, counted[0])}),
            **({"card": dict(card)} if card else {}),
        },
        **(history(estimator) if with_history else {}),
    }
    data = dumps(document)
    load(data)  # runs the examples
    return data


def dumps(document: Mapping[str, Any]) -> bytes:
    """Return the document as JSON with one key per line, so that people can read and diff it."""
    try:
        lines = [orjson.dumps(key) + b": " + orjson.dumps(value) for key, value in document.items()]
    except TypeError as error:  # half a surrogate pair in a name, label or category
        raise Unsupported(f"The document would hold what JSON cannot: {error}") from None
    return b"{\n" + b",\n".join(lines) + b"\n}\n"


def _feature_names(estimator: Any, table: Table | None) -> list[str] | None:
    names = (None if table is None else names_in(table)) or known_names(estimator)
    if names is None and text.reads_texts(estimator):
        names = [TEXT]
    require_one_form(names or [])
    return names


def _program(estimator: Any, table: Table | None, names: list[str] | None) -> Program:
    """Return a program with the estimator's features, and their types if there are training data."""
    if table is None:
        n = n_columns(estimator)
        return Program(names or _numbered(n), [None] * n)
    columns = [column(table, i) for i in range(table.shape[1])]
    called = names or _numbered(len(columns))
    dates = {i: dates_in(name, one) for i, (name, one) in enumerate(zip(called, columns, strict=True))}
    found = {i: way for i, way in dates.items() if way}
    return Program(called, [type_of(one) for one in columns], is_sparse(table), found)


def _numbered(n: int) -> list[str]:
    return [f"feature {i}" for i in range(n)]


def _output_names(y: Any) -> list[str]:
    return [str(name) for name in y.columns] if is_frame(y) else []


def _head_keys(heads: Sequence[AnyHead]) -> dict[str, Any]:
    keys = [one.document_keys() for one in heads]
    return {"outputs": keys} if "name" in keys[0] else keys[0]


def _with_answers(document: dict[str, Any], of_outputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the document with further keys for each of its outputs."""
    if "outputs" not in document:
        return {**document, **of_outputs[0]}
    pairs = zip(document["outputs"], of_outputs, strict=True)
    return {**document, "outputs": [{**output, **keys} for output, keys in pairs]}


def _calibrated(
    estimator: Any,
    classifier: Classifier,
    calibration: tuple[Any, Any],
    trained: Table | None,
    trained_y: Any,
) -> list[dict[str, Any]]:
    rows, labels = as_table(estimator, calibration[0]), calibration[1]
    if trained is not None:
        sets.warn_if_seen(classifier, rows, labels, trained, trained_y)
    return sets.document_keys(classifier, rows, labels)


def _examples(classifier: Classifier, estimator: Any, table: Table) -> dict[str, Any]:
    """Return the document's example rows and the estimator's answers to them.

    The rows are one for each predicted class as far as there is room, the row with the most missing values
    if there are any, and others up to the fewest examples. Where the estimator answers in single precision
    of its processor's own, the answers are the document's.
    """
    chosen = _first_of_each(estimator.predict(estimator_input(estimator, table)))[:MOST_EXAMPLES]
    read = [i for i, feature in enumerate(classifier.features) if feature.type != "unused"]
    missing = sum((absent(column(table, i)).astype(np.int64) for i in read), np.zeros(1, np.int64))
    chosen += [int(missing.argmax())] if missing.any() else []
    others = [i for i in range(min(table.shape[0], FEWEST_EXAMPLES)) if i not in chosen]
    rows = take(table, sorted({*chosen, *others[: max(0, FEWEST_EXAMPLES - len(chosen))]}))
    rows = with_short_texts(classifier.features, rows)
    numbers = all_numbers(expected(classifier, estimator, rows))
    answered = np.isfinite(numbers).all(axis=1)
    rows, numbers = take(rows, np.flatnonzero(answered)), numbers[answered]
    if tolerance(classifier.document, estimator) > EXAMPLES_TOLERANCE:
        numbers = classifier.predict(as_batch(classifier.features, rows)).numbers
    return {"examples": {"rows": json_rows(classifier.features, rows), "probabilities": numbers.tolist()}}


def _first_of_each(predicted: Any) -> list[int]:
    """Return the index of the first row of each label, or of each set of labels."""
    first: dict[tuple[Any, ...], int] = {}
    for i, labels in enumerate(np.asarray(predicted).reshape(len(predicted), -1).tolist()):
        first.setdefault(tuple(labels), i)
    return list(first.values())


def _training(
    estimator: Any,
    classifier: Classifier,
    table: Table | None,
    y: Any,
    scores: Mapping[str, float],
    trained: datetime | None,
    trainer: str | None,
) -> dict[str, Any]:
    about: dict[str, Any] = {
        "versions": {"scikit-learn": trainer or sklearn.__version__, "numpy": np.__version__}
    }
    if trained is not None:
        about["time"] = trained.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if table is not None:
        about |= {"rows": table.shape[0], "data_digest": data_digest(classifier.features, table)}
    found = {} if table is None or y is None else scored(estimator, classifier, table, y)
    return about | found | {"scores": {**found.get("scores", {}), **scores}}


def made_rows(classifier: Classifier) -> list[list[Any]]:
    """Return made-up rows as examples for a model that is exported without data."""
    rng = np.random.default_rng(0)
    known = _known_values(classifier.document.preprocessing)
    columns: list[list[Any]] = []
    for i, feature in enumerate(classifier.features):
        values = np.abs(rng.standard_normal(FEWEST_EXAMPLES).round(3)).tolist()
        if feature.type == "free_text":
            values = _known_texts(classifier.document.preprocessing, i)
        elif i in known:
            values = [known[i][int(k)] for k in rng.integers(0, len(known[i]), FEWEST_EXAMPLES)]
        elif feature.type == "boolean":
            values = rng.integers(0, 2, FEWEST_EXAMPLES).astype(np.bool_).tolist()
        columns.append(values)
    return [list(row) for row in zip(*columns, strict=True)]


def _known_texts(preprocessing: Preprocessing | None, column: int) -> list[str]:
    """Return texts of a few words that the model knows."""
    steps = [step for step, _ in preprocessing.steps] if preprocessing else []
    texts = [step for step in steps if isinstance(step, Text) and step.columns == [column]]
    words = [word for step in texts for word in step.words]
    return [" ".join(words[i::FEWEST_EXAMPLES][:MOST_EXAMPLES]) for i in range(FEWEST_EXAMPLES)]


def _known_values(preprocessing: Preprocessing | None) -> dict[int, list[Any]]:
    """Return the values that the model knows, by the index of each categorical feature."""
    encoders = [step for step, _ in preprocessing.steps if isinstance(step, Encode)] if preprocessing else []
    known = {step.columns[0]: [value for value in step.codes if value is not None] for step in encoders}
    return {column: values for column, values in known.items() if values}
