"""The two readings of JSON Lines, in bulk and line by line, take the same lines and find the same values."""

import json
import re
import unicodedata
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.tables.blocks import Block
from thimble.tables.cells import Unfit
from thimble.tables.fast import TO_ASCII
from thimble.tables.formats import find, named
from thimble.tables.jsonlines import JsonLines

RAW = json.loads((Path(__file__).parents[1] / "model/penguins.json").read_bytes())
OWN = tuple(RAW["feature_names_in"])
SPELLED = ("Kön", ",", "a/b", ":", "label\\", "K")  # no name of ASCII alone, or one that is JSON's own sign
ASCII = ("K", ";", "a/b", "tab\t", 'say "x"', "c")


def penguins(*names: str) -> Classifier:
    return load(orjson.dumps(RAW | {"feature_names_in": names}))


MODELS = {names: penguins(*names) for names in (OWN, SPELLED, ASCII)}
MODELS["NFD", *OWN[1:]] = penguins(unicodedata.normalize("NFD", "Kön"), *OWN[1:])
GOOD = ('"Biscoe"', "39.1", "18.7", "181.0", "3750", '"male"')

VALUES = st.sampled_from(
    [
        *('"Biscoe"', '"male"', '"NA"', '""', '"a\\"b"', '"\\u0041\\/"', '"\\ud83d\\ude00"', '"\\ud800"'),
        *('"5"', "5", "-0", "-0.0", "1e400", "1E3", "1" * 30, "1" * 400, "18446744073709551617", "5e-324"),
        *("0.1e-400", "01", "1.", "+1", ".5", "true", "false", "null", "NaN", "Infinity", "-Infinity"),
        *("[]", '["male"]', "{}", '{"island": "Biscoe"}', '{"label": 1, "sex": "male"}', "tru", '"open', ""),
        *('"island"', '"label"', '"é"', '"e\u0301"', '"\u212a"', '"a\tb"', "'x'", "9007199254740993"),
    ]
) | st.one_of(st.floats(), st.integers(), st.text(max_size=5)).map(json.dumps)
PLACES = st.sampled_from(["as it is", "absent", "twice", "escaped", "decomposed", "kelvin", "nested"])
OTHERS = st.sampled_from(["label", "probability", "p_Adelie", "la\\u0062el", "note", "Island", ",", ""])


@st.composite
def lines(draw: st.DrawFn, names: tuple[str, ...]) -> str:
    """A line that has hardly more than one or two things odd."""
    pairs = [(json.dumps(name, ensure_ascii=False), value) for name, value in zip(names, GOOD, strict=True)]
    for k in draw(st.lists(st.integers(0, len(names) - 1), max_size=2)):
        pairs[k] = pairs[k][0], draw(VALUES)
    for k in draw(st.lists(st.integers(0, len(names) - 1), max_size=2, unique=True)):
        pairs += _placed(draw(PLACES), k, pairs, draw(VALUES))
    pairs += [(f'"{name}"', draw(VALUES)) for name in draw(st.lists(OTHERS, max_size=2))]
    pairs = draw(st.permutations([pair for pair in pairs if pair[0]]))
    colon, comma = draw(st.sampled_from([(":", ","), (": ", ", "), ("\t:  ", " ,")]))
    return "{" + comma.join(key + colon + value for key, value in pairs) + "}"


def _placed(place: str, k: int, pairs: list[tuple[str, str]], value: str) -> list[tuple[str, str]]:
    """Change the pair k, which has no key then if it is absent; return the pairs that are to be added."""
    key, old = pairs[k]
    name = json.loads(key) if key else "x"
    if place == "absent":
        pairs[k] = "", old
    elif place == "twice":
        return [(key, value)]
    elif place == "escaped":
        spelled = f'"\\u{ord(name[0]):04x}{json.dumps(name)[2:]}' if name[0] not in '"\\' else key
        return [(spelled, value)]
    elif place == "decomposed":
        pairs[k] = json.dumps(unicodedata.normalize("NFD", name), ensure_ascii=False), old
    elif place == "kelvin":
        return [(key.replace("K", "\\u212a").replace(";", "\u037e"), value)]
    elif place == "nested":
        pairs[k] = "", old
        return [('"more"', f"{{{key}: {value}}}")]
    return []


def form_of(model: Classifier) -> JsonLines:
    form = find(named("a.jsonl"), b"{}", True, model)
    assert isinstance(form, JsonLines)
    return form


def check(names: tuple[str, ...], data: bytes) -> None:
    """Every line that is not left to be read by itself is read as it is by itself."""
    form = form_of(MODELS[names])
    block = Block(data, form.cut(data, final=True), 1)
    batch, doubtful = form._columns(block)
    for row in np.flatnonzero(~doubtful).tolist():
        try:
            values = form.values(block.record(row))
        except Unfit as error:
            raise AssertionError(f"{block.record(row)!r} was taken, but {error.fault}") from error
        alone = Batch.empty(form.schema.features, 1)
        alone.put(0, values)
        assert batch.numbers[:, row].tobytes() == alone.numbers[:, 0].tobytes(), block.record(row)
        assert {k: texts[row] for k, texts in batch.texts.items()} == {
            k: texts[0] for k, texts in alone.texts.items()
        }, block.record(row)


@given(st.data())
def test_what_is_read_in_bulk_is_what_each_line_says(data: st.DataObject) -> None:
    names = data.draw(st.sampled_from([*MODELS]))
    found = data.draw(st.lists(lines(names) | st.sampled_from(["", "[]", "{}"]), min_size=1, max_size=8))
    text = "".join(line.replace("\n", " ") + "\n" for line in found)
    check(names, text.encode("utf-8", "surrogatepass"))


def written(*pairs: tuple[str, str]) -> bytes:
    return ("{" + ", ".join(f'"{key}": {value}' for key, value in pairs) + "}\n").encode()


FULL = tuple(zip(OWN, GOOD, strict=True))
REST = FULL[1:]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (written(("island", "false"), *REST, ("label", "null")), 'the object already has "label"'),
        (written(("island", "false"), *REST, ("label", '"island"')), 'the object already has "label"'),
        (written(("island", "false"), *REST, ("more", '{"island": "Biscoe"}')), "island is a boolean"),
        (written(("island", "5"), *REST, ("note", '"\\u0041"')), "island is a number"),
        (written(("island", '["Biscoe"]'), *REST, REST[0]), "island is a list"),
        (written(*FULL, FULL[0]), "island is there 2 times"),
        (written(*REST, REST[0]), "island is missing"),
        (written(*REST, ("more", '{"island": "Biscoe"}')), "island is missing"),
        (written(*FULL, ("isl\\u0061nd", "1")), "island is there 2 times"),
    ],
)
def test_one_mention_too_many_does_not_make_up_for_one_too_few(line: bytes, reason: str) -> None:
    form = form_of(MODELS[OWN])
    for data, row in ((line, 0), (written(*FULL) + line + written(*FULL), 1)):
        batch = form.batch(Block(data, form.cut(data, final=True), 1))
        assert [*batch.faults] == [row]
        assert str(batch.faults[row].quoting).startswith(reason)


@pytest.mark.parametrize("key", ["\u212a", "\\u212a", "\\u212A"])
def test_a_key_that_is_another_in_normal_form_is_a_twin(key: str) -> None:
    line = written(*zip(("K", ";", "a/b", "tab\\t", 'say \\"x\\"', "c"), GOOD, strict=True), (key, "1"))
    form = form_of(MODELS[ASCII])
    assert form.batch(Block(line, form.cut(line, final=True), 1)).faults[0].quoting == "K is there 2 times"
    check(ASCII, line)


def test_the_escapes_of_what_is_ascii_in_normal_form_are_known() -> None:

    for code in range(0x10000):
        if unicodedata.normalize("NFC", chr(code)).isascii():
            assert re.match(TO_ASCII, f"\\u{code:04x}")
            assert re.match(TO_ASCII, f"\\u{code:04X}")
