"""Everything that Thimble raises on purpose. `str(error)` is a sentence for a person.

ThimbleError
├── InvalidModel             a document that is refused; begins with the path of the offending field
├── InvalidInput             the caller's to change
│   ├── MalformedBody        not JSON, or JSON of another shape
│   ├── UnprocessableRows    rows that do not fit the model
│   ├── TooLarge             more bytes or rows than the limit
│   ├── NotFound             no such path, model or version
│   ├── MethodNotAllowed     the path exists, the method does not
│   ├── UnsupportedMediaType a body of a type that is not read here
│   ├── NotAcceptable        no type of answer that the caller takes
│   └── InvalidFile          a file that cannot be read as its format at all
├── Unavailable              ours to change: no model, or the store is away
│   └── NoDefaultModel       what answers where no model is named was not published yet
├── Overwritten              an object changed since it was opened
│   └── Gone                 there is no such object, or not any more
└── Late                     the time that a function has is over
"""

import re

LAST_WORD = re.compile(r"[\s,;:]+[^\s,;:]*$")


class ThimbleError(Exception):
    """The root: catch this to catch them all."""


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
    """A path that nothing answers."""


class MethodNotAllowed(InvalidInput):
    """A path that answers, but not to this method."""


class UnsupportedMediaType(InvalidInput):
    """A body of a type, charset or coding that is not read here."""


class NotAcceptable(InvalidInput):
    """An answer of a type that is not written here."""


class InvalidFile(InvalidInput):
    """A file that cannot be read as its format at all."""


class Unavailable(ThimbleError):
    """No model is loaded, or the store does not answer."""


class NoDefaultModel(Unavailable):
    """The model that answers where none is named is not there: nobody has published it yet."""


class Overwritten(ThimbleError):
    """An object is no longer what it was when it was opened."""


class Gone(Overwritten):
    """There is no such object, or not any more."""


class Late(ThimbleError):
    """The time that a function has is over."""


def shortened(text: str, most: int) -> str:
    """At most so many characters, cut between words and not in one: half a word says nothing."""
    if len(text) <= most:
        return text
    found = LAST_WORD.search(text[: most - 2])
    return f"{text[: found.start()] if found else ''}..."
