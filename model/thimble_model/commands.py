"""The commands of the scientist's side: files in, files and a card out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from errno import EISDIR, ENOENT
from pathlib import Path
from typing import Any

import joblib
from rich.console import Console

from thimble.errors import InvalidInput
from thimble_model import reading, saving
from thimble_model.check import Check, card
from thimble_model.check import check as check_document
from thimble_model.estimators import best, require_fitted
from thimble_model.examples import EXAMPLES
from thimble_model.exporter import export as export_document
from thimble_model.frames import require_free_names
from thimble_model.reading import Training
from thimble_model.sheets import STANDARD_INPUT
from thimble_model.unsupported import Unsupported, located_in, names, refusing, require_document

WARNING = "Unpickling {} runs whatever code it holds: go on only with files that you trust."


def train(example: str, output: Path, estimator_path: Path | None, data_path: Path | None) -> None:
    for path in (output, estimator_path, data_path):
        _require_folder(path)
    save = data_path and saving.writer(data_path)
    X, y, estimator = EXAMPLES[example]()
    if estimator_path:
        joblib.dump(estimator, estimator_path)
    if data_path and save:
        data_path.write_bytes(save(X.join(y)))
    _write(output, export_document(estimator, X, y, name=example), estimator)


def export(
    estimator_path: Path, data_path: Path | None, targets: Sequence[str], output: Path, name: str
) -> None:
    _require_folder(output)
    _require_files(estimator_path, data_path)
    estimator = _unpickle(estimator_path)
    X, y = None, None
    if data_path:
        X, y, _ = found = reading.read(data_path, estimator, targets)
        _say_what_is_not_scored(found, data_path)
    trained = datetime.fromtimestamp(estimator_path.stat().st_mtime, UTC)
    with located_in(data_path):
        data = export_document(estimator, X, y, name=name, trained=trained)
    _write(output, data, estimator)


def _say_what_is_not_scored(found: Training, path: Path) -> None:
    if found.others and found.labels is None:
        others = names(map(repr, found.others))
        reason = "not all of its values are classes" if len(found.others) == 1 else "--target says which are"
        _say(f"{path}: no scores, for {others} could not be told to be the labels: {reason}")


def check(path: Path, estimator_path: Path | None, data_path: Path | None) -> None:
    found = checked(path, estimator_path, data_path)
    Console().print(card(found))
    require_sound(found, path)


def checked(path: Path, estimator_path: Path | None, data_path: Path | None) -> Check:
    """The document as the functions load it, compared with its estimator if there is one."""
    if data_path and not estimator_path:
        raise InvalidInput("--data needs --estimator: its rows are for comparing the two")
    _require_files(path, estimator_path, data_path)
    data = read_document(path)
    estimator = None if estimator_path is None else _unpickle(estimator_path)
    X = None if data_path is None or estimator is None else reading.read(data_path, estimator).rows
    with refusing(path), located_in(data_path):
        return check_document(data, estimator, X)


def read_document(path: Path) -> bytes:
    """The bytes of what may be a model document, and is no estimator or table in its place."""
    data = path.read_bytes()
    require_document(data, path)
    return data


def require_sound(found: Check, path: Path) -> None:
    require_free_names(found.classifier)
    if found.parity is not None and not found.parity.holds:
        raise Unsupported(f"{path} does not answer as its estimator does: {found.parity}")


def _unpickle(path: Path) -> Any:
    _say(WARNING.format(path))
    try:
        estimator = joblib.load(path)
    except Exception as error:  # whatever the code in it raises, or its bytes lead to
        reason = f"{type(error).__name__}: {error}"
        raise Unsupported(f"{path} cannot be loaded as a joblib or pickle file ({reason})") from None
    estimator = best(estimator)
    require_fitted(estimator)
    return estimator


def _say(sentence: str) -> None:
    Console(stderr=True).print(sentence, style="yellow", markup=False, highlight=False)


def _require_files(*paths: Path | None) -> None:
    """An OSError for one that cannot be read, before there is any work or warning."""
    for path in paths:
        if path and str(path) != STANDARD_INPUT:
            path.open("rb").close()


def _require_folder(output: Path | None) -> None:
    """An OSError where an output could not be written after all the work."""
    if output and not output.parent.is_dir():
        raise FileNotFoundError(ENOENT, os.strerror(ENOENT), str(output))
    if output and output.is_dir():
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(output))


def _write(output: Path, data: bytes, estimator: Any) -> None:
    output.write_bytes(data)
    console = Console()
    console.print(card(check_document(data, estimator)))
    console.print(f"wrote {output}", markup=False, highlight=False)
