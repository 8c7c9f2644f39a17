"""The errors that Thimble raises on purpose. `str(error)` is a sentence for a person.

ThimbleError
├── InvalidModel             a document that is refused; begins with the path of the offending field
├── InvalidInput             for the caller to change
│   ├── MalformedBody        not JSON, or JSON of another shape
│   ├── UnprocessableRows    rows that do not fit the model
│   ├── TooLarge             more bytes or rows than the limit
│   ├── NotFound             no such path, model or version
│   ├── MethodNotAllowed     the path exists, but not with this method
│   ├── UnsupportedMediaType a body of a type that is not read here
│   ├── NotAcceptable        the caller accepts no type that is written here
│   └── InvalidFile          a file that cannot be read as its format at all
├── Unavailable              for the operator to change: no model, or the store does not answer
│   └── NoDefaultModel       the default model is not published yet
├── Overwritten              an object changed after it was opened
│   └── Gone                 there is no such object, or it was deleted
└── Late                     the function has no time left
"""

import re

LAST_WORD = re.compile(r"[\s,;:]+[^\s,;:]*$")


class ThimbleError(Exception):
    """The base class of all errors here."""


class InvalidModel(ThimbleError):
    """A model document that is refused."""


class InvalidInput(ThimbleError):
    """Input that its sender has to change."""


class MalformedBody(InvalidInput):
    """A body that is not JSON, or JSON of another shape."""


class UnprocessableRows(InvalidInput):
    """Well-formed rows that do not fit the model."""


class TooLarge(InvalidInput):
    """More bytes or rows than the limit."""


class NotFound(InvalidInput):
    """No such path, model or version."""


class MethodNotAllowed(InvalidInput):
    """The path exists, but not with this method."""


class UnsupportedMediaType(InvalidInput):
    """A body of a type, charset or coding that is not read here."""


class NotAcceptable(InvalidInput):
    """The caller accepts no type of answer that is written here."""


class InvalidFile(InvalidInput):
    """A file that cannot be read as its format at all."""


class Unavailable(ThimbleError):
    """No model is loaded, or the store does not answer."""


class NoDefaultModel(Unavailable):
    """The default model, which answers if the caller names none, is not published yet."""


class Overwritten(ThimbleError):
    """An object changed after it was opened."""


class Gone(Overwritten):
    """There is no such object, or it was deleted."""


class Late(ThimbleError):
    """The function has no time left."""


def shortened(text: str, most: int) -> str:
    """Return at most `most` characters of a text, cut between words."""
    if len(text) <= most:
        return text
    found = LAST_WORD.search(text[: most - 2])
    return f"{text[: found.start()] if found else ''}..."
