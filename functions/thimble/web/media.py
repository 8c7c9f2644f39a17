"""Media types: the type of a body by Content-Type, the type of an answer by Accept, and JSON's envelopes.

A type other than JSON is a module of `tables`, imported at its first use: its `body` reads a body, its
`written` writes an answer. The JSON that several protocols share is read here.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from functools import cache
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

from thimble.errors import MalformedBody, NotAcceptable, UnsupportedMediaType
from thimble.inference import strict_json
from thimble.tables.answers import Classified
from thimble.tables.cells import json_kind
from thimble.tables.rows import Rows, Table
from thimble.web import options

JSON = "application/json"
CSV = "text/csv"
LINES = "application/jsonlines"
NPY = "application/x-npy"
BINARY = "application/octet-stream"
HTML = "text/html"

NAMES = {  # other names for our types, which clients send
    "text/json": JSON,
    "application/csv": CSV,
    "text/tab-separated-values": CSV,
    "application/jsonl": LINES,
    "application/x-jsonlines": LINES,
    "application/x-jsonl": LINES,
    "application/x-ndjson": LINES,
    "application/ndjson": LINES,
    "application/npy": NPY,
}
SAYS_NOTHING = {"", "application/x-www-form-urlencoded", "text/plain", BINARY}  # defaults of clients
PARAMETERS = {  # known parameters by type
    JSON: ("charset",),
    CSV: ("charset", "header", "decimal"),
    LINES: ("charset",),
    NPY: (),
    BINARY: (),
    HTML: ("charset",),
}
MODULES = {CSV: "csv", LINES: "jsonlines", NPY: "npy"}
CHARSETS = ("utf-8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252", "utf-16")
UTF8 = ("utf-8", "utf8", "us-ascii", "ascii")
INSTANCES = ("instances", "instance")


class Media(NamedTuple):
    """A media type by our name for it, and its parameters."""

    name: str
    parameters: Mapping[str, str] = MappingProxyType({})


PLAIN = {name: Media(name) for name in (JSON, CSV, LINES, NPY)}


def sent(content_type: str, supported: tuple[str, ...]) -> Media:
    """Return the type of a body by its Content-Type; JSON if the header is absent or a client's default.

    Raises UnsupportedMediaType for a type that is not supported, InvalidInput for an unknown parameter.
    """
    plain = PLAIN.get(content_type or JSON)
    if plain and plain.name in supported:
        return plain
    name, parameters = parsed(content_type)
    if name in SAYS_NOTHING and name not in supported:
        name = JSON
    name = _named(name)
    if name not in supported:
        raise UnsupportedMediaType(f"the body is said to be {name}; send {_either(supported)}")
    options.check_parameters(parameters, PARAMETERS[name], f"the type {name}")
    return Media(name, dict(parameters))


def wanted(accept: str, supported: tuple[str, ...], default: Media) -> Media:
    """Return the type to answer with: the caller's preferred one, or `default` if the caller does not mind.

    Raises NotAcceptable if no accepted type is supported.
    """
    if accept in ("", "*/*", default.name):
        return default
    choices = sorted(map(_weighed, accept.split(",")), key=lambda choice: -choice[0])  # stable
    refused = {name for weight, name, _ in choices if weight == 0}
    for weight, name, parameters in choices:
        if weight and (found := _matching(name, supported, refused, default.name)):
            options.check_close(parameters, PARAMETERS[found], f"the accepted type {found}")
            return default if found == default.name and not parameters else Media(found, parameters)
    raise NotAcceptable(f"no answer here is of the type {accept}; accept {_either(supported)}")


def parsed(header: str) -> tuple[str, list[tuple[str, str]]]:
    """Parse a header; return the media type and its parameters, in lower case."""
    name, *rest = header.lower().split(";")
    pairs = (parameter.partition("=") for parameter in rest if parameter.strip())
    return name.strip(), [(key.strip(), value.strip().strip('"')) for key, _, value in pairs]


def utf8(body: bytes, media: Media) -> bytes:
    """Return a text body in UTF-8. Raises UnsupportedMediaType if it is not in its charset."""
    charset = media.parameters.get("charset", "utf-8")
    if charset in UTF8:
        return body
    if charset not in CHARSETS:
        raise UnsupportedMediaType(f"the charset {charset} is not read here; send {_either(CHARSETS)}")
    try:
        return body.decode(charset).encode()
    except UnicodeError:
        raise UnsupportedMediaType(f"the body is not the {charset} that it is said to be") from None


def table(body: bytes, sent: Media) -> Table:
    """Read a body of a type other than JSON."""
    found: Table = _module(sent.name).body(utf8(body, sent), sent.parameters)
    return found


def written(answered: Classified, wanted: Media) -> bytes:
    """Write an answer of a type other than JSON."""
    found: bytes = _module(wanted.name).written(answered, wanted.parameters)
    return found


@cache
def _module(name: str) -> ModuleType:
    return importlib.import_module(f"thimble.tables.{MODULES[name]}")


def _named(name: str) -> str:
    return JSON if name.endswith("+json") else NAMES.get(name, name)


def _weighed(choice: str) -> tuple[float, str, dict[str, str]]:
    name, pairs = parsed(choice)
    parameters = dict(pairs)
    try:
        weight = float(parameters.pop("q", "1"))
    except ValueError:
        weight = 0.0
    return weight, _named(name), parameters


def _matching(name: str, supported: tuple[str, ...], refused: set[str], default: str) -> str | None:
    """Return the supported type that a name or a wildcard stands for; None if there is none."""
    if name in supported:
        return name
    kind, _, rest = name.partition("/")
    if rest != "*":
        return None
    fitting = [s for s in (default, *supported) if kind in ("*", s.partition("/")[0]) and s not in refused]
    return next(iter(fitting), None)


def _either(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def only_instances(body: bytes, elsewhere: Collection[str]) -> Rows:
    """Parse a JSON object that holds only instances.

    Raises MalformedBody for another key; of a name in `elsewhere` the sentence says that it is a parameter of
    the query.
    """
    found = envelope(body)
    if any(key not in INSTANCES for key in found):
        options.check_keys(found, INSTANCES, elsewhere=elsewhere)
    return instances(found)


def json_value(body: bytes, example: str = '{"instances": [...]}') -> Any:
    """Parse any JSON. Raises MalformedBody, with the place of the fault, if the body is not JSON."""
    if not body.strip():
        raise MalformedBody(f"the body is empty; send {example}")
    try:
        return strict_json.loads(body)
    except strict_json.NotJson as error:
        raise MalformedBody(f"the body is not JSON: {error}") from None
    except strict_json.DoubledKey as error:
        raise MalformedBody(f"{error} occurs twice in one object") from None


def envelope(body: bytes, example: str = '{"instances": [...]}') -> dict[str, Any]:
    """Parse a JSON object. Raises MalformedBody for anything else."""
    found = json_value(body, example)
    if not isinstance(found, dict):
        raise MalformedBody(f"the body is {json_kind(found)}; send {example}")
    return found


def instances(envelope: dict[str, Any]) -> Rows:
    """Return the rows of {"instances": [...]}, or the one row of {"instance": ...}."""
    if "instance" in envelope:
        if "instances" in envelope:
            raise MalformedBody("the body has both instances and instance; send one")
        return Rows([envelope["instance"]], "instance")
    return listed(envelope, "instances")


def listed(envelope: dict[str, Any], key: str) -> Rows:
    """Return the list of rows under a key."""
    if key not in envelope:
        raise MalformedBody(f'the body has no {key}; send {{"{key}": [...]}}')
    rows = envelope[key]
    if not isinstance(rows, list):
        raise MalformedBody(f"{key} is {json_kind(rows)}, not a list of rows")
    return Rows(rows, f"{key}[{{}}]")
