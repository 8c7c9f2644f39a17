"""JSON Lines and JSON arrays: strict, matched by name, and the same in blocks of any size."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from thimble.errors import InvalidFile
from thimble.files import streams
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.tables import formats, uniform
from thimble.tables.blocks import Block, parts

IRIS = load((Path(__file__).parents[1] / "model" / "iris.json").read_bytes())
UNNAMED = load((Path(__file__).parent / "documents" / "data-team.json").read_bytes())
NAMES = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
ROW = dict(zip(NAMES, (5.1, 3.5, 1.4, 0.2), strict=True))
LINE = json.dumps(ROW)
ANSWERS = ["label", "probability", "p_setosa", "p_versicolor", "p_virginica"]


def classified(
    data: bytes, size: int = 1 << 20, key: str = "file.jsonl", classifier: Classifier = IRIS
) -> tuple[bytes, list[dict[str, Any]]]:
    form = formats.find(formats.named(key), data[: formats.HEAD_BYTES], True, classifier)

    def pieces() -> Iterator[bytes]:
        for at in range(form.body, len(data), size):
            yield data[at : at + size]

    tally, rejected = streams.Tally(3), io.BytesIO()
    found = parts(form, pieces(), form.body, len(data), form.first_line)
    result = b"".join(streams.result_pieces(form, found, rejected, tally))
    tally.reconcile()
    return form.opening + result + form.closing, [
        json.loads(line) for line in rejected.getvalue().splitlines()
    ]


def reasons(*lines: str, key: str = "file.jsonl") -> list[tuple[int, str]]:
    found = classified("\n".join(lines).encode(), key=key)[1]
    return [(rejection["line"], rejection["reason"]) for rejection in found]


def with_value(text: str) -> str:
    return LINE.replace("0.2", text)


# JSON Lines.


def test_an_object_comes_back_with_the_answers_keys_after_its_own() -> None:
    line = '  {"note": "a } b", ' + LINE[1:-1] + ' , "more": {"x": [1]}}  '
    result, rejected = classified(f"{line}\r\n{LINE}".encode())
    assert rejected == []
    first, second = result.decode().split("\n")[:2]
    assert first.endswith("}\r")
    assert first.startswith(line.rstrip()[:-1])
    answer = json.loads(first)
    assert list(answer) == ["note", *NAMES, "more", *ANSWERS]
    expected = IRIS.predict(Batch.of(IRIS.features, np.array(list(ROW.values())).reshape(4, 1)))
    assert answer["label"] == "setosa"
    assert [answer[name] for name in ANSWERS[2:]] == expected.outputs[0].probabilities[:, 0].tolist()
    assert json.loads(second) == ROW | {name: answer[name] for name in ANSWERS}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (with_value('"0.2"'), 'petal width (cm) is "0.2", not a number'),
        (with_value("true"), "petal width (cm) is a boolean, not a number"),
        (with_value("null"), "petal width (cm) is null, not a number"),
        (with_value("[1]"), "petal width (cm) is a list, not a number"),
        (with_value('{"x": 1}'), "petal width (cm) is an object, not a number"),
        (with_value("NaN"), "petal width (cm) is NaN, not a finite number"),
        (with_value("-Infinity"), "petal width (cm) is too large, not a finite number"),
        (with_value("1e999"), "petal width (cm) is too large, not a finite number"),
        (with_value("1" * 400), "petal width (cm) is too large, not a finite number"),
        (
            LINE.replace("petal width", "petal with"),
            'petal width (cm) is missing; did you mean it by "petal with (cm)"?',
        ),
        (LINE.replace("sepal width", "petal width"), "sepal width (cm) is missing"),
        (LINE[:-1] + ', "petal width (cm)": 1}', "petal width (cm) is there 2 times"),
        (LINE[:-1] + ', "petal width \\u0028cm)": 1}', "petal width (cm) is there 2 times"),
        (
            LINE[:-1] + ', "label": 1}',
            'the object already has "label", which the answer is called: rename it',
        ),
        (LINE[:-1] + ', "\\u0070_setosa": 1}', 'the object already has "p_setosa", '),
        ("[1, 2]", "the record is a list, not an object"),
        ("5", "the record is a number, not an object"),
        (LINE[:-1], "the line is not JSON: "),
        (LINE + LINE, "the line is not JSON: Extra data"),
        (LINE.replace('"', "'"), "the line is not JSON: "),
    ],
)
def test_a_line_that_does_not_fit_costs_itself_and_says_why(line: str, reason: str) -> None:
    ((number, found),) = reasons(LINE, line, LINE)
    assert number == 2
    assert found.startswith(reason)
    assert reasons(LINE, "", line) == [(3, found)]


@pytest.mark.parametrize(
    "line",
    [
        LINE.replace("petal width", "petal \\u0077idth"),
        LINE[:-1] + ', "note": "label"}',
        LINE[:-1] + ', "note": {"petal width (cm)": 1, "label": 2}}',
        LINE[:-1] + ', "note": "\\u0041\\/"}',
        with_value("2"),
        with_value("-0"),
        with_value("123456789012345678901234567890"),
    ],
)
def test_a_line_that_is_only_unusual_is_answered(line: str) -> None:
    result, rejected = classified(f"{LINE}\n{line}\n".encode())
    assert rejected == []
    assert result.splitlines()[1].startswith(line[:-1].encode())


NUMBER_TEXTS = st.text(st.sampled_from('0123456789+-.eEtruNaIfin" []{}'), max_size=10) | st.one_of(
    st.floats().map(json.dumps), st.integers().map(json.dumps), st.text().map(json.dumps)
)


@given(st.lists(NUMBER_TEXTS, min_size=1, max_size=12))
@example(["1", "01", "1.", ".5", "+1", "1e5", "-0", "-0.0", "1e400", '"1"', "1 ", "1,2", "1}", "5e-324"])
def test_whole_blocks_and_single_lines_agree_on_every_text(texts: list[str]) -> None:
    form: Any = formats.find(formats.named("a.jsonl"), LINE.encode(), True, IRIS)
    data = "".join(with_value(text) + "\n" for text in texts if "\n" not in text).encode()
    block = Block(data, form.cut(data, final=True), 1)
    batch, doubtful = form._columns(block)
    for i, column in enumerate(batch.numbers.T):
        if not doubtful[i]:
            assert column.tobytes() == np.array(form.values(block.record(i))).tobytes()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40))
def test_a_float_is_read_to_the_last_bit(values: list[float]) -> None:
    form: Any = formats.find(formats.named("a.jsonl"), LINE.encode(), True, IRIS)
    lines = [LINE.replace("1.4", f"{value:.17e}").replace("0.2}", f"{value!r}}}") for value in values]
    data = "".join(f"{line}\n" for line in lines).encode()
    X = form._columns(Block(data, form.cut(data, final=True), 1))[0].numbers
    assert X[3].tobytes() == X[2].tobytes() == np.array(values).tobytes()


@pytest.mark.parametrize(
    "other",
    [
        "01",
        "1.",
        ".5",
        "--1",
        "-",
        "x",
        "",
        '"a',
        'a"',
        '"a"b"',
        '"a" "b"',
        '"\\x"',
        '"\t"',
        '"',
        "1 2",
        "{}}",
    ],
)
def test_lines_that_are_all_alike_are_json_in_every_value(other: str) -> None:
    good = ['{"id": 7, ' + LINE[1:], '{"id": "seven", ' + LINE[1:]]
    for line in good:
        bad = '{"id": ' + other + ", " + LINE[1:]
        ((number, reason),) = reasons(*[line] * 100, bad, *[line] * 100)
        assert number == 101
        assert reason.startswith("the line is not JSON: ")


@pytest.mark.parametrize("other", ["8", "-8.5", "1700000123", "1e5", '"x, y"', '"\\u0041"', "null", "[1, 2]"])
def test_a_value_that_the_model_does_not_take_may_be_any(other: str) -> None:
    for line in ('{"id": 7, ' + LINE[1:], '{"id": "seven", ' + LINE[1:]):
        assert reasons(*[line] * 100, '{"id": ' + other + ", " + LINE[1:], *[line] * 100) == []


@pytest.mark.parametrize("key", ['"i\td"', '\x0b"id"', '"id"\x0c', '"id', '"i"d"', "id"])
def test_lines_that_are_all_alike_are_json_in_every_key(key: str) -> None:
    found = reasons(*["{" + key + ": 7, " + LINE[1:]] * 3)
    assert [number for number, _ in found] == [1, 2, 3]
    assert all(reason.startswith("the line is not JSON: ") for _, reason in found)


STYLES = [("{", ", ", ": ", "}"), ("{", ",", ":", "}"), (" { ", " , ", "\t: ", " }\r")]
CHANGES = st.sampled_from(
    ['"', "\\", ",", ":", "{", "}", "[", " ", "\t", "\n", "\r", "\0", "0", "9", ".", "-", "e", "é"]
)


@given(
    rows=st.lists(st.lists(st.decimals(0, 99, places=1), min_size=4, max_size=4), min_size=1, max_size=6),
    extra=st.sampled_from([{}, {"id": "7"}, {"note": '"a b"'}]),
    style=st.sampled_from(STYLES),
    changes=st.lists(st.tuples(st.integers(0), CHANGES, st.integers(0, 1)), max_size=3),
)
def test_lines_that_are_almost_alike_are_read_as_any_other_lines(
    rows: list[list[Any]], extra: dict[str, str], style: tuple[str, ...], changes: list[tuple[int, str, int]]
) -> None:
    first, comma, colon, last = style
    objects = [extra | dict(zip(NAMES, map(str, row), strict=True)) for row in rows]
    lines = [comma.join(f'"{key}"{colon}{value}' for key, value in one.items()) for one in objects]
    text = "\n".join(f"{first}{line}{last}" for line in lines)
    for at, other, taken in changes:
        at %= len(text)
        text = text[:at] + other + text[at + taken :]
    with pytest.MonkeyPatch.context() as patch:
        found = outcome(text.encode())
        patch.setattr(uniform, "found", lambda block: None)
        assert found == outcome(text.encode())


def outcome(data: bytes) -> Any:
    try:
        return classified(data)
    except InvalidFile as error:
        return str(error)


def test_a_key_in_anothers_place_is_found() -> None:
    swapped = json.dumps(dict(reversed(ROW.items())))
    result, rejected = classified("\n".join([LINE] * 100 + [swapped, LINE]).encode())
    answers = [[json.loads(line)[name] for name in ANSWERS] for line in result.splitlines()]
    assert rejected == []
    assert len(answers) == 102
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("note", ['"x"', "-1"])
def test_a_last_line_that_is_shorter_than_the_first_ones_keys_costs_itself_alone(note: str) -> None:
    first = f'{LINE[:-1]}, "{"long " * 10}": {note}}}'
    last = f'{{"a": 1, "b": 1, "c": 1, "d": 1, "": {note}}}'
    ((number, reason),) = reasons(*[first] * 100, last)
    assert number == 101
    assert reason.startswith("sepal length (cm) is missing")


LINES = st.sampled_from(
    [
        *([LINE] * 4),
        LINE.replace(" ", ""),
        "",
        "  ",
        f" {LINE}\t",
        LINE + "\r",
        with_value('"x"'),
        with_value("NaN"),
        LINE[:-5],
        LINE[:-1] + ', "label": 1}',
        LINE[:-1] + ', "note": "é\\n\\u0041\\""}',
        LINE[:-1] + ', "petal width (cm)": 7}',
        "[]",
        "\ufeff" + LINE,
    ]
)


@given(st.lists(LINES, min_size=1, max_size=12), st.booleans(), st.integers(1, 60))
def test_the_size_of_blocks_changes_nothing(lines: list[str], ended: bool, size: int) -> None:
    data = ("\n".join([LINE, *lines]) + ("\n" if ended else "")).encode()
    whole = classified(data)
    assert classified(data, size) == whole
    assert len(whole[0].splitlines()) + len(whole[1]) == 1 + sum(1 for line in lines if line.strip())


# A JSON array.


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_an_array_comes_back_as_an_array(indent: int | None, size: int) -> None:
    rows = [ROW | {"note": note} for note in ("a", 'b, "c" ]}\\', "[{", "é\n", "\\")]
    result, rejected = classified(json.dumps(rows, indent=indent).encode(), size, "file.json")
    assert rejected == []
    answered = json.loads(result)
    assert [{name: row[name] for name in (*NAMES, "note")} for row in answered] == rows
    assert [row["label"] for row in answered] == ["setosa"] * 5


@pytest.mark.parametrize("size", [1, 9, 1 << 20])
def test_an_element_that_does_not_fit_is_rejected_with_its_line(size: int) -> None:
    rows = [ROW, ROW | {NAMES[0]: None}, [1], ROW]
    data = b"\n " + json.dumps(rows, indent=2).encode()
    result, rejected = classified(data, size, "file.json")
    assert len(json.loads(result)) == 2
    assert [(line["line"], line["reason"]) for line in rejected] == [
        (9, "sepal length (cm) is null, not a number"),
        (15, "the record is a list, not an object"),
    ]
    assert json.loads(rejected[0]["record"]) == rows[1]


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_an_empty_array_is_a_file_of_no_rows(size: int) -> None:
    assert classified(b" [ ]\n", size, "file.json") == (b"[\n\n]\n", [])


def test_a_json_file_may_hold_json_lines() -> None:
    data = f"{LINE}\n{LINE}\n".encode()
    assert classified(data, key="file.json") == classified(data)


@settings(max_examples=60)
@given(
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text('a"\\[]{},:é\n'),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('a"\\]}'), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=6,
    ),
    st.sampled_from([None, 0, 2]),
    st.integers(1, 50),
)
def test_elements_are_told_apart_whatever_they_hold(notes: list[Any], indent: int | None, size: int) -> None:
    rows = [ROW | {"note": note} for note in notes]
    result, rejected = classified(json.dumps(rows, indent=indent).encode(), size, "file.json")
    kept = [row for row in rows if "NaN" not in json.dumps(row) and "Infinity" not in json.dumps(row)]
    assert len(rejected) + len(json.loads(result)) == len(rows)
    assert len(json.loads(result)) >= len(kept)


@pytest.mark.parametrize(
    ("data", "key", "message"),
    [
        (b"", "a.jsonl", "the file is empty"),
        (b" \n ", "a.jsonl", "the file is empty"),
        (b"[]", "a.jsonl", r"the file begins with \[: an array is named .json"),
        (b'{\n"a"', "a.json", "begins neither as an array of objects nor as JSON Lines"),
        (b"[" + LINE.encode(), "a.json", "the array is not closed"),
        (b"[" + LINE.encode() + b"] x", "a.json", "there is more in the file after the end of the array"),
        (b"[" + LINE.encode() + b" x]", "a.json", "an element of the array is not JSON: "),
        (b'[{"a": "]', "a.json", "the array is not closed"),
        *(
            (text.replace("O", LINE).encode(), "a.json", "an element is missing before or after a comma")
            for text in ("[,O]", "[O,,O]", "[O, \n,O]", "[O,]", "[O,\n]", "[,]")
        ),
    ],
)
def test_a_file_that_is_no_json_is_refused(data: bytes, key: str, message: str) -> None:
    for size in (1, 1 << 20):
        with pytest.raises(InvalidFile, match=message):
            classified(data, size, key)


def test_a_model_without_names_takes_no_objects() -> None:
    with pytest.raises(InvalidFile, match="the model knows no feature names"):
        classified(LINE.encode(), classifier=UNNAMED)


def test_a_row_that_the_model_has_no_answer_to_costs_itself_alone() -> None:
    huge = json.dumps(dict.fromkeys(NAMES, 1e308))
    result, rejected = classified("\n".join([LINE, huge, LINE]).encode())
    assert result == classified("\n".join([LINE, LINE]).encode())[0]
    assert [(r["line"], r["reason"]) for r in rejected] == [(2, "the values are too large for the model")]


@pytest.mark.parametrize("indent", [2, "\t"])
def test_objects_printed_over_several_lines_are_refused_in_one_sentence(indent: int | str) -> None:
    text = "\n".join(json.dumps(dict.fromkeys(("note", *NAMES), 1), indent=indent) for _ in range(3))
    with pytest.raises(InvalidFile, match="the first object goes over several lines"):
        classified(text.encode())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("9" * 5000, "petal width (cm) is too large, not a finite number"),
        ("1e400", "petal width (cm) is too large, not a finite number"),
        ("[" * 20_000, "the line is not JSON: it is nested too deeply"),
        ("x", "the line is not JSON: Expecting value at column 93"),
        ('"\ufffd', "the line is not JSON: byte 93 is not UTF-8 (it looks like WINDOWS-1252)"),
        (r'"\ud800"', "the record has half of a surrogate pair, which is no character"),
        (
            r'1,"note":"\uDC00"',
            "the record has half of a surrogate pair, which is no character",
        ),
    ],
)
def test_what_is_wrong_with_a_line_is_said_in_words(value: str, reason: str) -> None:
    line = json.dumps(dict.fromkeys(NAMES, 1))[:-2] + value + "}\n"
    data = (LINE + "\n" + line).encode().replace("\ufffd".encode(), b"\xe4")
    _, rejected = classified(data)
    assert [(found["line"], found["reason"]) for found in rejected] == [(2, reason)]


def test_a_character_in_two_escapes_is_one() -> None:
    line = json.dumps({**dict.fromkeys(NAMES, 1), "note": "\U0001f600"}) + "\n"
    assert r"\ud83d\ude00" in line
    assert classified(line.encode())[1] == []
