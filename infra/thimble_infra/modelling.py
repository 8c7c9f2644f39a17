"""The commands for models: they read files, write files, and show a card."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib
import orjson
from rich.console import Console

from thimble.errors import InvalidInput
from thimble_infra import given, outputs, pickles, printing
from thimble_infra.given import Given
from thimble_infra.stacks import Registry
from thimble_model import boosters, cards, reading, saving
from thimble_model.check import Check, card, card_as_json
from thimble_model.check import check as check_document
from thimble_model.estimators import require_fitted
from thimble_model.examples import EXAMPLES, UNSEEN
from thimble_model.exporter import export as export_document
from thimble_model.frames import require_free_names
from thimble_model.reading import Training
from thimble_model.sets import Seen
from thimble_model.sheets import STANDARD_INPUT
from thimble_model.unsupported import Unsupported, located_in, names, refusing
from thimble_model.wrappers import plain

WARNING = "Unpickling {} runs whatever code it holds: go on only with files that you trust."


def train(example: str, output: Path, estimator_path: Path | None, data_path: Path | None) -> None:
    outputs.check_files(output, estimator_path, data_path)
    save = data_path and saving.writer(data_path)
    X, y, estimator = EXAMPLES[example]()
    if estimator_path:
        with outputs.replacing(estimator_path) as beside:
            joblib.dump(estimator, beside)
    if data_path and save:
        outputs.write(data_path, save(X.join(y)))
    unseen = UNSEEN[example]() if example in UNSEEN else None
    document = export_document(estimator, X, y, name=example, target=[str(y.name)], calibration=unseen)
    _write(output, document, estimator, X)


def export(
    estimator_path: Path,
    data_path: Path | None,
    targets: Sequence[str],
    holdout: Path | None,
    calibration: Path | None,
    abstain_below: float | None,
    classes: Sequence[Any] | None,
    output: Path,
    name: str,
    card_path: Path | None = None,
    explain: bool = True,
    decimal: str = "",
) -> None:
    outputs.check_files(output)
    _require_one_standard_input(estimator_path, data_path, holdout, calibration)
    _require_files(estimator_path, data_path, holdout, calibration)
    about = cards.read(card_path) if card_path else None
    if holdout and not data_path:
        raise InvalidInput("--holdout needs --data: the rows that the estimator was trained on")
    estimator, version = _read(estimator_path, classes)
    X, y, target = None, None, targets
    if data_path:
        found = reading.read(data_path, estimator, targets, decimal)
        _say_what_is_not_scored(found, data_path)
        X, y, target = found.rows, found.labels, found.targets
    held_out = _labelled(holdout, estimator, target, decimal) if holdout else None
    unseen = _labelled(calibration, estimator, target, decimal) if calibration else None
    trained = None
    if not is_standard(estimator_path):
        trained = datetime.fromtimestamp(estimator_path.stat().st_mtime, UTC)
    with located_in(data_path), _saying_warnings():
        data = export_document(
            estimator,
            X,
            y,
            name=name,
            trained=trained,
            trainer=version,
            target=target,
            held_out=held_out,
            calibration=unseen,
            abstain_below=abstain_below,
            card=about,
            explain=explain,
        )
    _write(output, data, estimator, X)


def labels(text: str) -> list[Any]:
    """Return labels from a line of CSV, as numbers or booleans if all of them are."""
    found = next(csv.reader([text]), [])
    try:
        plain = [orjson.loads(label) for label in found]
    except ValueError:
        return found
    kinds = set(map(type, plain))
    return plain if kinds == {bool} or kinds <= {int, float} else found


@contextmanager
def _saying_warnings() -> Iterator[None]:
    """Print warnings as sentences, without the line of code that they come from."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", Seen)
        yield
    for one in told:
        _say(str(one.message))


def _labelled(path: Path, estimator: Any, target: Sequence[str], decimal: str) -> tuple[Any, Any]:
    """Read rows that were not trained on, and their labels. Raises InvalidInput if there are no labels."""
    found = reading.read(path, estimator, target, decimal)
    if found.labels is None:
        raise InvalidInput(f"{path} has no column of labels to score: --target names it")
    return found.rows, found.labels


def _say_what_is_not_scored(found: Training, path: Path) -> None:
    if found.others and found.labels is None:
        others = names(map(repr, found.others))
        reason = "not all of its values are classes" if len(found.others) == 1 else "--target says which are"
        _say(f"{path}: no scores, for {others} could not be told to be the labels: {reason}")


def check(model: str, registry: Registry, estimator: Path | None, data: Path | None, as_json: bool) -> None:
    document = given.model(model, registry)
    found = checked(document, estimator, data)
    if as_json:
        printing.as_json(card_as_json(found))
    else:
        Console().print(card(found))
    require_sound(found, document)


def checked(document: Given, estimator_path: Path | None, data_path: Path | None) -> Check:
    """Load a document as the functions do, and compare it with its estimator if there is one."""
    if data_path and not estimator_path:
        raise InvalidInput("--data needs --estimator: its rows are for comparing the two")
    _require_one_standard_input(document.shown, estimator_path, data_path)
    _require_files(estimator_path, data_path)
    heads = document.loaded().heads  # raises InvalidModel before any work or warning
    estimator = None if estimator_path is None else _read(estimator_path, None, heads[0].classes)[0]
    X = None if data_path is None or estimator is None else reading.read(data_path, estimator).rows
    with refusing(document.shown), located_in(data_path):
        return check_document(document.data, estimator, X)


def require_sound(found: Check, document: Given) -> None:
    require_free_names(found.classifier)
    if found.parity is not None and not found.parity.holds:
        raise Unsupported(
            f"{document.shown} does not answer as its estimator does: {found.parity}; export it anew"
        )


def _read(
    path: Path, classes: Sequence[Any] | None, of_booster: Sequence[Any] | None = None
) -> tuple[Any, str | None]:
    """Return a file's estimator, and the version of scikit-learn that saved it if that is not this one.

    A bare booster gets the `classes`, or `of_booster` if none are given.
    """
    data, name = pickles.read(path), pickles.shown(path)
    if boosters.trainer_of(data):
        estimator, version = boosters.opened(data, name, classes or of_booster), None
    else:
        _say(WARNING.format(name))
        estimator, version = pickles.load(data, name)
        said = classes or (of_booster if boosters.is_bare(estimator) else None)
        estimator = plain(boosters.classifier(estimator, said))
    require_fitted(estimator)
    return estimator, version


def _say(sentence: str) -> None:
    Console(stderr=True).print(sentence, style="yellow", markup=False, highlight=False)


def is_standard(path: Path | str) -> bool:
    return str(path) == STANDARD_INPUT


def _require_one_standard_input(*paths: Path | str | None) -> None:
    if sum(str(path) in (STANDARD_INPUT, "standard input") for path in paths if path) > 1:
        raise InvalidInput("standard input can be one file only: name the others")


def _require_files(*paths: Path | None) -> None:
    """Raise an OSError if a file cannot be read, before any work or warning."""
    for path in paths:
        if path and not is_standard(path):
            path.open("rb").close()


def _write(output: Path, data: bytes, estimator: Any, rows: Any) -> None:
    outputs.write(output, data)
    console = Console(stderr=outputs.is_standard(output))
    console.print(card(check_document(data, estimator, rows)))
    console.print(f"wrote {output}", markup=False, highlight=False)
