"""Read a model card, the texts about a model for people, from a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path

from thimble import spelling
from thimble.errors import InvalidInput, InvalidModel
from thimble.inference.fields import Fields
from thimble.inference.reference import ABOUT, check_about


def read(path: Path) -> dict[str, str]:
    """Return a file's card. Raises InvalidInput, which says what is wrong with it."""
    try:
        found = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not UTF-8: save it as such") from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f'{path} is not TOML, lines such as owner = "Jane Doe": {error}') from None
    card = {key: value.strip() if isinstance(value, str) else value for key, value in found.items()}
    for key in card:
        if key not in ABOUT:
            hint = spelling.hint(key, ABOUT)
            raise InvalidInput(f"{path}: {key} is no key of a card{hint or f', which has {_keys()}'}")
    try:
        check_about(Fields(card))
    except InvalidModel as error:
        raise InvalidInput(f"{path}: {error}") from None
    return card


def _keys() -> str:
    return f"{', '.join(ABOUT[:-1])} and {ABOUT[-1]}"
