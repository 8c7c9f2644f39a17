"""Convert classes to the labels of a document, and read the labels of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from thimble.inference.head import Label
from thimble_model.unsupported import Unsupported, class_name


def labels(classes: NDArray[Any]) -> list[Label]:
    """Return the classes as JSON values, each with its own type."""
    return [_label(label) for label in (classes if classes.dtype.kind in "mM" else classes.tolist())]


def of_rows(y: Any) -> NDArray[Any]:
    """Return an array with a label for each row, or with a column for each of several outputs.

    A single column is flattened: CatBoost puts each label into a list of its own.
    """
    found = np.asarray(y)
    return found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found


def _label(label: Any) -> Label:
    if isinstance(label, np.generic) and label.dtype.kind not in "mM":
        label = float(label) if label.dtype.kind == "f" else label.item()
    if isinstance(label, str):
        return str.__str__(label)  # the text of a subclass such as an Enum
    if isinstance(label, bool | float):
        return label
    if isinstance(label, int) and -(2**63) <= label < 2**64:
        return int(label)
    kind = "an integer of more than 64 bits" if isinstance(label, int) else f"a {class_name(label)}"
    raise Unsupported(f"The label {label!r} is {kind}; labels are strings, numbers or booleans")
