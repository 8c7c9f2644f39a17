"""The options for files on the command line: one list for `classify` and `drop`.

A command gets them as one argument, `options`: the text of each given option by its name.
"""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from thimble.errors import InvalidInput

if TYPE_CHECKING:
    from thimble.files.options import FileOptions


class Option(NamedTuple):
    """The help of an option."""

    metavar: str  # empty for a flag
    meaning: str
    unsaid: str


FOUND, MODELS = "found", "the model's own"
LIST = {
    "explain": Option(
        "all|none|NUMBER", "Add what features contribute to the answer: of all, or of so many.", "none"
    ),
    "coverage": Option("NUMBER|none", "Add the set of labels that holds the true one so often.", "none"),
    "by_class": Option("", "... for each class by itself.", "no"),
    "what_if": Option("", "Add the smallest change that gives another label.", "no"),
    "abstain_below": Option("NUMBER|none", "Below which probability (or score) a row gets no label.", MODELS),
    "threshold": Option(
        "NUMBER|none", "From which probability (or score) on the positive of two classes applies.", MODELS
    ),
    "max_rejected_share": Option("SHARE", "Fail a file with a larger share of rejected records.", "1"),
    "delimiter": Option(
        "CHARACTER", "What separates the cells of CSV and TSV: a character, tab or space.", FOUND
    ),
    "quote": Option("CHARACTER", "What stands around cells of CSV and TSV: a character, tab or none.", FOUND),
    "header": Option("present|absent", "Whether CSV and TSV begin with a header.", FOUND),
    "decimal": Option("point|comma", "What decimals in CSV and TSV take.", FOUND),
}

Command = Callable[..., None]


def taken(unsaid: str = "") -> Callable[[Command], Command]:
    """Give a command all these options in place of its argument `options`.

    Without `unsaid`, the command works as the function does, so the environment's settings are defaults too.
    Otherwise `unsaid` names the default in the help.
    """

    def decorated(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True).parameters.values()
        kept = [parameter for parameter in own if parameter.name != "options"]

        @wraps(command)
        def called(**given: Any) -> None:
            said = {name: given.pop(name) for name in LIST}
            command(**given, options={name: _as_text(said[name]) for name in LIST if said[name] is not None})

        both = [*kept, *(_parameter(name, unsaid) for name in LIST)]
        vars(called)["__signature__"] = inspect.Signature(both)
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in both}
        return called

    return decorated


def _parameter(name: str, unsaid: str) -> inspect.Parameter:
    about = LIST[name]
    option = typer.Option(
        metavar=about.metavar or None,
        help=about.meaning,
        show_default=unsaid or about.unsaid,
        envvar=None if unsaid else name.upper(),
    )
    kind: Any = str | None if about.metavar else bool | None
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option]
    )


def _as_text(value: str | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def read(options: Mapping[str, str]) -> FileOptions:
    """Return the options as FileOptions. Raises a usage error if one is invalid."""
    from thimble.files.options import FileOptions

    try:
        return FileOptions.read(options, {name: _typed(name) for name in options})
    except InvalidInput as error:
        raise typer.BadParameter(str(error)) from None


def metadata(options: Mapping[str, str]) -> dict[str, str]:
    """Return the options as an object's metadata. Raises a usage error if one is invalid."""
    from thimble.files.options import as_metadata

    read(options)
    return as_metadata(options)


def in_force(named: Mapping[str, Any]) -> str:
    """Return a summary's options as one types them, without those that have their default value."""
    from thimble.files.options import FileOptions

    usual = FileOptions().values
    said = [(name, value) for name, value in named.items() if value != usual.get(name)]
    return " ".join(_typed(name) if value is True else _with_value(name, value) for name, value in said)


def as_typed(sentence: str) -> str:
    """Replace metadata keys in a sentence by the options that `drop` was given."""
    from thimble.files.options import KEYS

    for key, name in KEYS.items():
        sentence = sentence.replace(key, _typed(name))
    return sentence


def _with_value(name: str, value: Any) -> str:
    from thimble.inference.asked import ALL

    text = "all" if name == "explain" and value == ALL else str(value)
    return f"{_typed(name)} {shlex.quote(text)}"


def _typed(name: str) -> str:
    return f"--{name.replace('_', '-')}"
