"""Which published models a refused file's columns fit, and the command to run."""

from __future__ import annotations

import shlex
from pathlib import Path

from thimble.errors import ThimbleError
from thimble_infra.drop_report import Outcome
from thimble_infra.stacks import Registry
from thimble_infra.versions import Keeper


def advice(path: Path, outcome: Outcome, registry: Registry, command: str) -> list[str]:
    """Lines for a person; none where the models or the columns cannot be read, which is said elsewhere, or
    where they fit the model that refused the file: it is for something else."""
    try:
        names = fitting(path, registry)
    except (ThimbleError, OSError):
        return []
    if _used(outcome) in names:
        return []
    return [f"fits      {name}: thimble drop {_command(path, name, command)}" for name in names]


def _command(path: Path, name: str, command: str) -> str:
    return command.format(shlex.quote(str(path)), name)


def _used(outcome: Outcome) -> str:
    model = outcome.summary.get("model")
    return str(model["name"]) if model else ""


def fitting(path: Path, registry: Registry) -> list[str]:
    """Of the current versions, those whose features are all among a file's columns."""
    from thimble_model import sheets  # only here: pandas comes with it

    sheet = sheets.opened(path)
    named = [(model.name, model.feature_names) for model in Keeper(registry).loaded()]
    return [name for name, features in named if features and set(features) <= set(sheet.columns(features))]
