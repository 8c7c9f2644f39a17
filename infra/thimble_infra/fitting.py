"""Find the published models that a refused file's columns fit, and the command to run."""

from __future__ import annotations

import shlex
from pathlib import Path

from thimble.errors import ThimbleError
from thimble_infra.drop_report import Outcome
from thimble_infra.stacks import Registry
from thimble_infra.versions import Keeper


def advice(path: Path, outcome: Outcome, registry: Registry, command: str) -> list[str]:
    """Return lines of advice for a person.

    There are none if the models or the columns cannot be read, which is reported elsewhere, or if the file
    fits the model that refused it, because then something else is wrong.
    """
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
    """Return the models whose current version has all its features among a file's columns."""
    from thimble_model import sheets  # imported here because it needs pandas

    sheet = sheets.opened(path)
    named = [(model.name, model.feature_names) for model in Keeper(registry).loaded()]
    return [name for name, features in named if features and set(features) <= set(sheet.columns(features))]
