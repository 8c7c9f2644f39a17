"""Text that is not UTF-8: keep its bytes, guess its encoding, and name the command that converts it."""

from __future__ import annotations

from itertools import pairwise

LOOKS = " (it looks like "
LOOK_BYTES = 64 << 10
UNICODE = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
BOMS = tuple(bom for bom, _ in UNICODE)
ONE_BYTE = {  # iconv's name: Python's name, the likeliest first
    "WINDOWS-1252": "cp1252",
    "WINDOWS-1250": "cp1250",
    "WINDOWS-1251": "cp1251",
    "IBM850": "cp850",
    "MACINTOSH": "mac_roman",
}
MARKS = frozenset("€£§°«»¿¡•©®™²³µ½¼·ºª×–—‘’‚“”„…\xa0")  # noqa: RUF001 (signs of ordinary text)
SYMBOLS = frozenset("ƒªºµ")  # letters in Unicode, but no parts of words
UNPACKING = {".gz": "gzip -dc", ".gzip": "gzip -dc", ".zst": "zstd -dc", ".zstd": "zstd -dc"}


def text(data: bytes) -> str:
    """Decode UTF-8; each byte that is not UTF-8 becomes half a surrogate pair, which `is_sound` finds."""
    return data.decode("utf-8", "surrogateescape")


def is_sound(text: str) -> bool:
    """Return whether `text` was decoded from valid UTF-8."""
    return text.isascii() or not any("\udc80" <= character <= "\udcff" for character in text)


def printable(text: str) -> str:
    r"""Return the text with each byte that is not UTF-8 written as an escape such as \xf6."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def fault(text: str) -> str:
    """Return the reason for rejecting a text that is not sound."""
    encoding = looks_like(text.encode("utf-8", "surrogateescape"))
    return f"is not UTF-8{sentence(encoding)}"


def is_wide(head: bytes) -> bool:
    """Return whether data is UTF-16, UTF-32 or no text, by its BOM or a zero byte in its first line."""
    return head.startswith(BOMS) or b"\0" in head[:LOOK_BYTES].split(b"\n", 1)[0]


def sentence(encoding: str) -> str:
    return f"{LOOKS}{encoding})" if encoding else ""


def looks_like(data: bytes) -> str:
    """Return iconv's name for the likeliest encoding of bytes that are not UTF-8; "" if none is likely."""
    data = data[:LOOK_BYTES]
    for mark, name in UNICODE:
        if data.startswith(mark):
            return name
    if b"\0" in data:
        return _of_two_bytes(data)
    scores = {name: _score(data, codec) for name, codec in ONE_BYTE.items()}
    likeliest = max(scores, key=lambda name: scores[name])  # the first of equal ones
    return likeliest if scores[likeliest] > 0 else ""


def _of_two_bytes(data: bytes) -> str:
    """Return "UTF-16BE" or "UTF-16LE" if about every other byte is zero, as in ASCII text; else ""."""
    even, odd = data[0::2].count(0), data[1::2].count(0)
    if 2 * max(even, odd) <= len(data) // 2 or min(even, odd) > max(even, odd) // 8:
        return ""
    return "UTF-16BE" if even > odd else "UTF-16LE"


def _score(data: bytes, codec: str) -> int:
    """Return how well the characters beyond ASCII fit their neighbours; 0 if the codec cannot decode."""
    try:
        found = data.decode(codec)
    except UnicodeDecodeError:
        return 0
    pairs = pairwise(f" {found} ")
    after = pairwise(f"{found}  ")
    return sum(
        _fits(before, character, following)
        for (before, character), (_, following) in zip(pairs, after, strict=True)
        if character > "\x7f"
    )


def _fits(before: str, character: str, following: str) -> int:
    if character in MARKS:
        return 1
    if not character.isalpha() or character in SYMBOLS:
        return -2
    beside = [other for other in (before, following) if other.isalpha()]
    if any(_is_cyrillic(other) != _is_cyrillic(character) for other in beside):
        return -2
    if character.isupper() and (before.islower() or (before.isalpha() and following.islower())):
        return -2
    in_word = bool(beside) and (_is_cyrillic(character) or all(map(str.isascii, beside)))
    return 2 if in_word else 1


def _is_cyrillic(character: str) -> bool:
    return "\u0400" <= character <= "\u052f"


def is_mixed(data: bytes) -> bool:
    """Return whether some lines are UTF-8 beyond ASCII, so that no other encoding reads all lines."""
    return any(not line.isascii() and is_sound(text(line)) for line in data.split(b"\n"))


def said(reason: str) -> str | None:
    """Return the encoding that a sentence of `fault` names, "" if none; None for another sentence."""
    _, found, rest = reason.partition("is not UTF-8")
    if not found:
        return None
    return rest.removeprefix(LOOKS).partition(")")[0] if rest.startswith(LOOKS) else ""


def command(encoding: str, path: str) -> str:
    """Return the shell command that converts a file to UTF-8; for an unknown encoding it says ENCODING."""
    from shlex import quote  # for a person at a terminal, never in a function

    folder, slash, name = path.rpartition("/")
    fetch = ""
    if path.startswith("s3://"):
        folder = slash = ""
        fetch, path = f"aws s3 cp {quote(path)} - | ", "-"
    stem, packed, unpack = name, "", ""
    for extension, program in UNPACKING.items():
        if name.lower().endswith(extension):
            stem, packed, unpack = name[: -len(extension)], extension, program
    plain, dot, extension = stem.rpartition(".")
    new = f"{folder}{slash}{plain or stem}.utf8{dot}{extension if dot else ''}"
    convert = f"iconv -f {encoding or 'ENCODING'} -t UTF-8"
    if packed:
        return f"{fetch}{unpack} {quote(path)} | {convert} > {quote(new)}"
    return f"{fetch}{convert} {quote(path)} > {quote(new)}"
