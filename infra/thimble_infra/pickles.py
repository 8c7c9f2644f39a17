"""Read an estimator's file and load its pickle, with a sentence if it is none or cannot be loaded here."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from typing import Any

import joblib
import sklearn
from sklearn.exceptions import InconsistentVersionWarning

from thimble_model.boosters import trainer_of
from thimble_model.unsupported import Unsupported, first_line

STANDARD_INPUT = "-"
HEAD = 1024  # bytes that decide what a file is
OTHERS = {  # the first bytes of files that are not pickles
    b"PK\x03\x04": "a spreadsheet or another archive",
    b"\xd0\xcf\x11\xe0": "a spreadsheet",
    b"PAR1": "a Parquet table",
    b"\x89HDF": "an HDF5 file",
}


def read(path: Path) -> bytes:
    """Read a file that may be a pickle or a booster's own file. Raises Unsupported for any other."""
    data = sys.stdin.buffer.read() if str(path) == STANDARD_INPUT else path.read_bytes()
    if not trainer_of(data):
        _require_pickle(data, shown(path))
    return data


def shown(path: Path) -> str:
    return "standard input" if str(path) == STANDARD_INPUT else str(path)


def load(data: bytes, name: str) -> tuple[Any, str | None]:
    """Load an estimator; return it with the version of scikit-learn that saved it if that is not this one.

    Raises Unsupported if it cannot be loaded.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InconsistentVersionWarning)
        try:
            estimator = joblib.load(io.BytesIO(data))
        except Exception as error:  # its code or its bytes may raise anything
            raise Unsupported(f"{name} cannot be loaded: {_reason(error, _version(caught))}") from None
    return estimator, _version(caught)


def _require_pickle(data: bytes, name: str) -> None:
    """Raise Unsupported unless the bytes may be a pickle. The oldest protocol is text ending with a dot."""
    head = data[:HEAD]
    what = next((what for mark, what in OTHERS.items() if head.startswith(mark)), None)
    if what is None and _is_text(head) and not data.endswith(b"."):
        what = "a JSON document" if head.lstrip()[:1] in (b"{", b"[") else "a text, such as a table"
    if what:
        raise Unsupported(
            f"{name} is {what}, not an estimator that joblib or pickle saved, nor what XGBoost, LightGBM or "
            "CatBoost save_model: name that file first, and rows with --data"
        )


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        text = head[: error.start].decode() if error.start > len(head) - 4 else ""
    return bool(text.strip()) and all(character.isprintable() or character in "\r\n\t" for character in text)


def _version(caught: list[warnings.WarningMessage]) -> str | None:
    found = [w.message for w in caught if isinstance(w.message, InconsistentVersionWarning)]
    return found[0].original_sklearn_version if found else None


def _reason(error: Exception, version: str | None) -> str:
    if version:
        return (
            f"scikit-learn {version} saved it, and {sklearn.__version__} here does not read it: "
            f"`pip install scikit-learn=={version}`, or export where it was trained"
        )
    if isinstance(error, ModuleNotFoundError) and error.name:
        module = error.name.partition(".")[0]
        if module == "sklearn":
            return (
                f"another version of scikit-learn than {sklearn.__version__} saved it ({error}): install "
                "that one, or export where it was trained"
            )
        return f"it needs the module {error.name}: `pip install {module}`, or export where it was trained"
    if isinstance(error, AttributeError) and "__main__" in str(error):
        return (
            f"it needs what the script that trained it defines ({first_line(error)}): export there, "
            "by thimble_model.export(estimator, X, y)"
        )
    return (
        f"it is no whole joblib or pickle file, or needs other packages ({type(error).__name__}: "
        f"{first_line(error)}): save it anew with joblib.dump(estimator, path)"
    )
