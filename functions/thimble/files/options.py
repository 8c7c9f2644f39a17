"""The options of a file: the stack's options for all files, overridden by those in the file's user metadata
(`x-amz-meta-thimble-explain: 3`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from thimble import asking, spelling
from thimble.errors import InvalidFile, InvalidInput
from thimble.inference.asked import Asked
from thimble.inference.classifier import Classifier
from thimble.settings import OF_FILES
from thimble.store import OURS
from thimble.tables import answers
from thimble.tables.dialect import NAMED, Given

THERE = " in the file's metadata"
NAMES = tuple(name.lower() for name in OF_FILES)  # in the order of a result's identity
NOTHING, FOUND = Asked(), Given()
ASKED = tuple(name for name in NAMES if name in Asked._fields)


def key(name: str) -> str:
    """Return the metadata key of an option."""
    return OURS + name.replace("_", "-")


KEYS = {key(name): name for name in NAMES}


def as_metadata(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata for options given as texts."""
    return {key(name): NAMED.get(text, text) for name, text in texts.items()}


@dataclass(frozen=True)
class FileOptions:
    """The options on which a result depends, besides the input and the model."""

    max_rejected_share: float = 1.0  # a larger share of rejected records fails the file
    given: Given = FOUND  # of CSV and TSV
    asked: Asked = NOTHING  # the options of answers
    # The options set for this file by its metadata or a command, with their names there.
    said: Mapping[str, str] = field(default_factory=dict, compare=False)
    fault: str = field(default="", compare=False)  # of the file's metadata: the file is refused

    @classmethod
    def of(cls, **values: Any) -> FileOptions:
        """Make options from values by name. Raises InvalidInput for an impossible option of a dialect."""
        share = values.pop("max_rejected_share", cls.max_rejected_share)
        given = {name: values.pop(name) for name in asdict(FOUND) if name in values}
        return cls(share, Given(**given), Asked(**values))

    @classmethod
    def read(cls, texts: Mapping[str, str], called: Mapping[str, str]) -> FileOptions:
        """Make a file's options from texts; `called` has the names under which they were given.

        Raises InvalidInput for a value that is not valid.
        """
        return replace(cls.of(**asking.of_file(texts, called.__getitem__)), said=called)

    @property
    def values(self) -> dict[str, Any]:
        """All options by name."""
        values = {
            "max_rejected_share": self.max_rejected_share,
            **asdict(self.given),
            **self.asked._asdict(),
        }
        return {name: values[name] for name in NAMES}

    @property
    def named(self) -> dict[str, Any]:
        """The options in a job's identity.

        Options of answers are left out unless they are set, so that older results keep their identity.
        """
        asked = self._asked
        return {name: value for name, value in self.values.items() if name in asked or name not in ASKED}

    @property
    def _asked(self) -> tuple[str, ...]:
        """The names of the options of answers that are set."""
        return tuple(name for name in ASKED if getattr(self.asked, name) != getattr(NOTHING, name))

    def with_metadata(self, metadata: Mapping[str, str]) -> FileOptions:
        """Return the options, overridden by those in a file's metadata.

        Options that a command set for the file stay. A value that is not valid is recorded as `fault`.
        """
        if not metadata:
            return self
        try:
            texts = {name: text for name, text in _texts(metadata).items() if name not in self.said}
            values = asking.of_file(texts, lambda name: key(name) + THERE)
            if values.get("coverage", 1) is None:
                values.setdefault("by_class", False)  # without a coverage there are no sets
        except InvalidInput as error:
            return replace(self, fault=str(error))
        try:
            merged = FileOptions.of(**{**self.values, **values})
        except InvalidInput as error:
            keys = " and ".join(key(name) for name in asdict(self.given) if name in texts)
            return replace(self, fault=f"{keys}{THERE} cannot be: {error}")
        return replace(merged, said={**{name: key(name) for name in texts}, **self.said})

    def decided(self, classifier: Classifier) -> Classifier:
        """Return the model, set to answer with these options.

        Raises InvalidFile if the model cannot, or if there is a fault.
        """
        if self.fault:
            raise InvalidFile(self.fault)
        if self.asked == NOTHING:
            return classifier
        try:
            return _asking(classifier, self.asked)
        except InvalidInput as error:
            names = [self.said.get(name, name.upper()) for name in self._refused(classifier)]
            told = f"change {' and '.join(names)}, or leave {'it' if len(names) == 1 else 'them'} out"
            raise InvalidFile(f"{error}; {told}") from None

    def _refused(self, classifier: Classifier) -> list[str]:
        """Return the names of the options that the model cannot answer together with those before them."""
        kept, refused = NOTHING, []
        for name in self._asked:
            more = kept._replace(**{name: getattr(self.asked, name)})
            try:
                _asking(classifier, more)
            except InvalidInput:
                refused.append(name)
            else:
                kept = more
        return refused


def _asking(classifier: Classifier, asked: Asked) -> Classifier:
    """Return the model, set to answer with options. Raises InvalidInput if it, or a result, cannot."""
    found = classifier.asking(asked)
    answers.column_names(found)
    return found


def _texts(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the options' texts by name. Raises InvalidInput for an unknown key."""
    for one in metadata:
        if one not in KEYS:
            meant = _meant(one)
            told = f'did you mean "{meant}"?' if meant else f"it takes {', '.join(KEYS)}"
            raise InvalidInput(f'the file\'s metadata has an unknown key "{one}"; {told}')
    return {KEYS[one]: text for one, text in metadata.items()}


def _meant(unknown: str) -> str | None:
    """Return the known key that a misspelled one means; None if none is close."""
    spelled = unknown.replace("_", "-")
    if spelled in KEYS:
        return spelled
    known = {one.removeprefix(OURS): one for one in KEYS}
    return known.get(spelling.closest(spelled.removeprefix(OURS), known) or "")
