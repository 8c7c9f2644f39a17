"""The options of a file: what the stack says of all files, and in its place what one says of itself, in the
user metadata of its object (`x-amz-meta-thimble-explain: 3`).
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
    """Return what metadata calls an option."""
    return OURS + name.replace("_", "-")


KEYS = {key(name): name for name in NAMES}


def as_metadata(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata that say so of a file."""
    return {key(name): NAMED.get(text, text) for name, text in texts.items()}


@dataclass(frozen=True)
class FileOptions:
    """What a result depends on, apart from the input and the model."""

    max_rejected_share: float = 1.0  # a larger share of rejected records fails the file
    given: Given = FOUND  # of CSV and TSV
    asked: Asked = NOTHING  # beside labels
    # What the options are called that are said of this very file, by its metadata or a command.
    said: Mapping[str, str] = field(default_factory=dict, compare=False)
    fault: str = field(default="", compare=False)  # of what the file says: it is refused

    @classmethod
    def of(cls, **values: Any) -> FileOptions:
        """By their names; InvalidInput for an impossible delimiter, quote or header."""
        share = values.pop("max_rejected_share", cls.max_rejected_share)
        given = {name: values.pop(name) for name in asdict(FOUND) if name in values}
        return cls(share, Given(**given), Asked(**values))

    @classmethod
    def read(cls, texts: Mapping[str, str], called: Mapping[str, str]) -> FileOptions:
        """By their texts, which are said of a file under the names that they are called."""
        return replace(cls.of(**asking.of_file(texts, called.__getitem__)), said=called)

    @property
    def values(self) -> dict[str, Any]:
        """All of them by their names."""
        values = {
            "max_rejected_share": self.max_rejected_share,
            **asdict(self.given),
            **self.asked._asdict(),
        }
        return {name: values[name] for name in NAMES}

    @property
    def named(self) -> dict[str, Any]:
        """The options as a summary names them. Results without what is asked for beside labels are as before
        it could be."""
        asked = self._asked
        return {name: value for name, value in self.values.items() if name in asked or name not in ASKED}

    @property
    def _asked(self) -> tuple[str, ...]:
        """What is asked for beside labels: whatever is not as if nothing was."""
        return tuple(name for name in ASKED if getattr(self.asked, name) != getattr(NOTHING, name))

    def with_metadata(self, metadata: Mapping[str, str]) -> FileOptions:
        """Return them with those of a file's metadata in the place of the stack's. What a command says of the
        file stays. What cannot be is a fault."""
        if not metadata:
            return self
        try:
            texts = {name: text for name, text in _texts(metadata).items() if name not in self.said}
            values = asking.of_file(texts, lambda name: key(name) + THERE)
            if values.get("coverage", 1) is None:
                values.setdefault("by_class", False)  # of sets that are not there
        except InvalidInput as error:
            return replace(self, fault=str(error))
        try:
            merged = FileOptions.of(**{**self.values, **values})
        except InvalidInput as error:
            keys = " and ".join(key(name) for name in asdict(self.given) if name in texts)
            return replace(self, fault=f"{keys}{THERE} cannot be: {error}")
        return replace(merged, said={**{name: key(name) for name in texts}, **self.said})

    def decided(self, classifier: Classifier) -> Classifier:
        """The model with what is asked for beside labels; InvalidFile if it cannot do it."""
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
        """What is asked for that the model cannot do beside the rest."""
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
    """The model with what is asked for; InvalidInput if it, or a result, cannot have it."""
    found = classifier.asking(asked)
    answers.column_names(found)
    return found


def _texts(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the options' texts by their names; InvalidInput for a key of no option."""
    for one in metadata:
        if one not in KEYS:
            meant = _meant(one)
            told = f'did you mean "{meant}"?' if meant else f"it takes {', '.join(KEYS)}"
            raise InvalidInput(f'the file\'s metadata has an unknown key "{one}"; {told}')
    return {KEYS[one]: text for one, text in metadata.items()}


def _meant(unknown: str) -> str | None:
    """Return the key that a slip of the pen stands for."""
    spelled = unknown.replace("_", "-")
    if spelled in KEYS:
        return spelled
    known = {one.removeprefix(OURS): one for one in KEYS}
    return known.get(spelling.closest(spelled.removeprefix(OURS), known) or "")
