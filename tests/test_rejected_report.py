"""POST /classify?rejected=report: every row is answered or rejected, by the rules of a file."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.door import IRIS, NAMES, PENGUINS, ROW, get, iris, post, refusal, served
from tests.test_canary import CANDIDATE, CURRENT, OnTrial
from tests.test_csv import classified
from tests.test_description import DOCUMENT, SCHEMAS
from thimble.inference.classifier import load
from thimble.registry.pointer import Trial
from thimble.settings import from_environment
from thimble.web import routes
from thimble.web.app import Response

penguins = served(PENGUINS)
MODEL = load(PENGUINS)
PENGUIN = {
    "island": "Dream",
    "bill_length_mm": 40.1,
    "bill_depth_mm": 18.9,
    "flipper_length_mm": 195,
    "body_mass_g": 3700,
    "sex": "male",
}
COLUMNS = list(PENGUIN)
SECRET = "a-secret-of-somebody"
MULTILABEL = json.dumps(
    {
        "classes": ["red", "round"],
        "feature_names_in": ["x"],
        "out_activation": "logistic",
        "coefs": [[[1.0, -1.0]]],
        "intercepts": [[0.0, 0.0]],
    }
).encode()


def report(body: Any, accept: str = "application/json", app: Any = penguins, **headers: str) -> Response:
    answer = post("/classify?rejected=report", body, app, accept=accept, **headers)
    assert answer.status == 200, answer.body
    return answer


def lines(answer: Response) -> list[Any]:
    return list(map(json.loads, answer.body.splitlines()))


def table(*records: str, extra: str = "id") -> str:
    return "\n".join([",".join([extra, *COLUMNS]), *records, ""])


def record(number: int, **changed: str) -> str:
    return ",".join(map(str, [number, *(PENGUIN | changed).values()]))


RECORDS = [
    record(1),
    record(2, body_mass_g=SECRET),
    "",
    "3,Dream",
    record(4, island="Atlantis"),
    record(5, sex=""),
    record(6, bill_length_mm='"4'),
]
REASONS = [
    (1, 3, "body_mass_g is not a number"),
    (2, 5, "the record has 2 cells, where 7 cells belong"),
    (3, 6, "island is not a category that the model knows (Biscoe, Dream, Torgersen)"),
    (5, 8, 'the record opens a " that is never closed'),
]


def told(answer: Response) -> list[tuple[int, int, str]]:
    rejected = json.loads(answer.body)["rejected"]
    return [(each["row"], each["line"], each["reason"]) for each in rejected]


def test_a_bad_record_costs_itself_alone() -> None:
    answer = report(table(*RECORDS), content_type="text/csv")
    found = json.loads(answer.body)
    reasons = told(answer)
    assert [row[:2] for row in reasons] == [row[:2] for row in REASONS]
    for (_, _, reason), (_, _, expected) in zip(reasons, REASONS, strict=True):
        assert reason.startswith(expected.partition(" (")[0])
    assert [prediction is None for prediction in found["predictions"]] == [0, 1, 1, 1, 0, 1]
    assert (found["rows"], answer.rows) == (6, 2)
    alone = json.loads(post("/classify", {"instance": PENGUIN}, penguins).body)["predictions"][0]
    assert found["predictions"][0] == alone
    assert [each["rows"] for each in found["classes"]] == [2, 0, 0]


def test_without_asking_one_bad_record_still_refuses_the_body() -> None:
    assert "line 3: body_mass_g" in refusal(
        post("/classify", table(*RECORDS), penguins, content_type="text/csv"), 422
    )


@pytest.mark.parametrize("accept", ["application/json", "text/csv", "application/jsonlines"])
@pytest.mark.parametrize("kind", ["json", "csv", "jsonlines"])
def test_no_answer_says_what_a_rejected_value_was_but_its_own_column(kind: str, accept: str) -> None:
    bad = PENGUIN | {"body_mass_g": SECRET}
    bodies = {
        "json": ({"instances": [PENGUIN, bad]}, "application/json"),
        "csv": (table(record(1), record(2, body_mass_g=SECRET)), "text/csv"),
        "jsonlines": ("\n".join(map(json.dumps, [PENGUIN, bad])), "application/jsonlines"),
    }
    body, sent = bodies[kind]
    answer = report(body, accept, content_type=sent)
    assert (SECRET in answer.body.decode()) == (kind == "csv" and accept == "text/csv")
    assert "body_mass_g is" in answer.body.decode()


def test_a_csv_comes_back_with_its_own_columns_its_answers_and_the_reasons() -> None:
    answer = report(table(*RECORDS), "text/csv", content_type="text/csv")
    header, *found = csv.reader(io.StringIO(answer.body.decode()))
    assert header[:7] == ["id", *COLUMNS]
    assert header[7:] == ["label", "probability", "p_Adelie", "p_Chinstrap", "p_Gentoo", "rejected"]
    assert [cells[0] for cells in found] == ["1", "2", "", "4", "5", ""]
    assert [cells[7] for cells in found] == ["Adelie", "", "", "", "Adelie", ""]
    for cells, line in zip(found, (2, 3, 5, 6, 7, 8), strict=True):
        assert len(cells) == len(header)
        assert cells[-1].startswith(f"line {line}: ") == (not cells[7])
    assert found[1][:7] == ["2", *(str(v) for v in (PENGUIN | {"body_mass_g": SECRET}).values())]


CELLS = st.sampled_from(
    [
        "",
        "1.5",
        "39.1",
        "NA",
        "x",
        "1e999",
        '"a"',
        'a"b',
        '"',
        "a,b",
        '"a,b"',
        '"a\nb"',
        "Dream",
        "male",
        " 2 ",
        "é",
    ]
)


@given(
    st.lists(st.lists(CELLS, min_size=5, max_size=8), min_size=1, max_size=12),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([",", ";"]),
)
def test_the_answered_records_are_a_file_s_and_so_are_the_reasons(
    rows: Any, end: str, delimiter: str
) -> None:
    """The file door is the oracle: its result is what stands before the last column."""
    records = (
        [delimiter.join(["id", *COLUMNS])]
        + [delimiter.join(row) for row in rows]
        + [delimiter.join(map(str, [9, *PENGUIN.values()]))]
    )
    body = end.join([*records, ""])
    result, rejections = classified(body.encode(), classifier=MODEL)
    answer = report(body, "text/csv", content_type="text/csv")
    header, *ours = parsed(answer.body, delimiter)
    theirs = parsed(result, delimiter)
    assert header == [*theirs[0], "rejected"]
    assert [numbered(cells[:-1]) for cells in ours if not cells[-1]] == list(map(numbered, theirs[1:]))
    as_json = json.loads(report(body, content_type="text/csv").body)
    assert [each["line"] for each in as_json["rejected"]] == [each["line"] for each in rejections]
    for one, other in zip(as_json["rejected"], rejections, strict=True):
        assert one["reason"].split()[0] == other["reason"].split()[0]


def parsed(data: bytes, delimiter: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter))


def numbered(cells: list[str]) -> list[Any]:
    """The answer's numbers as numbers: they may be written in two ways."""
    return [*cells[:-4], *map(float, cells[-4:])]


def test_a_csv_without_a_header_gets_one_unless_it_is_unwanted() -> None:
    body = "5.1,3.5,1.4,0.2\n5.1,x,1.4,0.2\n5.1,3.5\n"
    said = {"content_type": "text/csv; header=absent"}
    answer = report(body, "text/csv; header=present", iris, **said)
    header, good, bad, short = csv.reader(io.StringIO(answer.body.decode()))
    assert header[:4] == NAMES
    assert good[:5] == ["5.1", "3.5", "1.4", "0.2", "setosa"]
    assert bad[:5] == ["5.1", "x", "1.4", "0.2", ""]
    assert short == [*[""] * 9, "line 3: the record has 2 cells, where 4 cells belong"]
    unheaded = report(body, "text/csv", iris, **said)
    assert unheaded.body == answer.body.partition(b"\n")[2]


def test_objects_keep_their_own_keys_and_get_a_file_s() -> None:
    texts = [
        json.dumps({"id": 7, **PENGUIN}),
        "[1, 2]",
        json.dumps({"id": 8, **PENGUIN, "sex": 3}),
        "{nonsense",
        "",
        json.dumps(list(PENGUIN.values())),
    ]
    answer = report("\n".join(texts), "application/jsonlines", content_type="application/jsonlines")
    first, second, third, fourth, last = lines(answer)
    result, _ = classified(texts[0].encode(), key="x.jsonl", classifier=MODEL)
    assert first == json.loads(result)
    assert second == {"row": 1, "rejected": "line 2: the row has 2 values; the model takes 6"}
    assert third == {"row": 2, "rejected": "line 3: sex is a number, not a string"}
    assert fourth["rejected"].startswith("line 4: the line is not JSON: ")
    assert last == {"row": 4} | {
        key: first[key] for key in ("label", "probability", *first) if key not in ("id", *PENGUIN)
    }


@given(
    st.dictionaries(
        st.sampled_from([*COLUMNS, "id", "label", "rejected", "note"]),
        st.none() | st.booleans() | st.integers(-5, 5000) | st.sampled_from(["Dream", "male", "x"]),
    )
)
def test_an_object_is_answered_exactly_where_a_file_answers_it(changed: dict[str, Any]) -> None:
    body = json.dumps(PENGUIN | changed)
    [ours] = lines(report(body, "application/jsonlines", content_type="application/jsonlines"))
    result, rejections = classified(body.encode(), key="x.jsonl", classifier=MODEL)
    if not {"label", "rejected"}.isdisjoint(changed):
        assert 'already has "' in ours["rejected"]
    elif rejections:
        assert ours["rejected"].split()[2] == rejections[0]["reason"].split()[0]
    else:
        assert ours == json.loads(result)


@pytest.mark.parametrize(
    ("body", "sent", "accept"),
    [
        ({"instances": [ROW, [1], dict(zip(NAMES, ROW, strict=True))]}, "application/json", "text/csv"),
        ("5.1,3.5,1.4,0.2\n1\n5.1,3.5,1.4,0.2\n", "text/csv; header=absent", "application/jsonlines"),
        ("[5.1,3.5,1.4,0.2]\n[1]\n[5.1,3.5,1.4,0.2]\n", "application/jsonlines", "text/csv"),
        ({"instances": [ROW, [1], ROW]}, "application/json", "application/jsonlines"),
    ],
)
def test_in_another_type_than_the_body_s_a_row_has_its_number(body: Any, sent: str, accept: str) -> None:
    answer = report(body, accept, iris, content_type=sent)
    found: list[Any] = (
        lines(answer) if "lines" in accept else list(csv.DictReader(io.StringIO(answer.body.decode())))
    )
    assert [int(each["row"]) for each in found] == [0, 1, 2]
    assert [each.get("label") or None for each in found] == ["setosa", None, "setosa"]
    assert found[1]["rejected"]
    assert not found[0].get("rejected")


@pytest.mark.parametrize("accept", ["application/json", "text/csv", "application/jsonlines"])
def test_a_body_of_which_nothing_can_be_answered_is_answered_so(accept: str) -> None:
    answer = report({"instances": [[1], None, {}]}, accept, iris)
    assert answer.rows == 0
    if accept == "application/json":
        found = json.loads(answer.body)
        assert (found["rows"], found["predictions"], len(found["rejected"])) == (3, [None] * 3, 3)
        assert [each["reason"] for each in found["rejected"]][:2] == [
            "the row has 1 value; the model takes 4",
            "the row is null; a row is a list of numbers or an object",
        ]


@pytest.mark.parametrize(
    ("body", "sent", "status", "sentence"),
    [
        ("{", "application/json", 400, "the body is not JSON"),
        ({"instances": []}, "application/json", 422, "there are no rows"),
        ("a,b\n1,2\n", "text/csv", 422, "the header lacks"),
        ("", "application/jsonlines", 422, "there are no rows"),
        ({"instances": [[1]] * 10_001}, "application/json", 413, "there are 10001 rows"),
    ],
)
def test_a_body_that_is_no_table_is_refused_as_ever(body: Any, sent: str, status: int, sentence: str) -> None:
    assert sentence in refusal(post("/classify?rejected=report", body, content_type=sent), status)


def test_own_columns_are_not_called_as_an_answer_is() -> None:
    for taken in ("label", "rejected"):
        body = table(record(1), extra=taken)
        answer = post("/classify?rejected=report", body, penguins, content_type="text/csv")
        assert f'already has "{taken}"' in refusal(answer, 422)
        assert report(body, content_type="text/csv").rows == 1  # where nothing is put beside them


def test_another_word_is_refused() -> None:
    assert refusal(post("/classify?rejected=skip", {"instance": ROW})) == "rejected is report, or left out"
    table_ = post("/classify?rejected=report&top=1", {"instance": ROW}, accept="text/csv")
    assert "top is for answers in JSON" in refusal(table_)


def test_the_most_likely_classes_alone() -> None:
    body = {"instances": [ROW, [1]]}
    found = json.loads(post("/classify?rejected=report&top=1", body).body)
    assert list(found["predictions"][0]["probabilities"]) == ["setosa"]


def test_several_labels_and_their_counts() -> None:
    answer = report({"instances": [[2], [None], [-2], [9]]}, app=served(MULTILABEL))
    found = json.loads(answer.body)
    assert [p and p["labels"] for p in found["predictions"]] == [["red"], None, ["round"], ["red"]]
    assert found["classes"] == [
        {"output": "", "text": "red", "rows": 2},
        {"output": "", "text": "round", "rows": 1},
    ]
    assert found["drift"] is None
    [first, *_] = lines(report({"instances": [[2]]}, "application/jsonlines", served(MULTILABEL)))
    assert first["labels"] == ["red"]


def test_names_with_delimiters_and_quotes_are_quoted_in_the_header() -> None:
    odd = MULTILABEL.replace(b'"red"', b'"red, \\"dark\\""')
    body = report({"instances": [[2]]}, "text/csv", served(odd)).body.decode()
    columns = ["row", "labels", 'p_red, "dark"', "p_round", "rejected"]
    first, row = csv.reader(io.StringIO(body))
    assert (first, len(row)) == (columns, len(columns))


def test_a_canary_says_of_each_answered_row_which_version_gave_it() -> None:
    app = routes.app(OnTrial(Trial(CANDIDATE.digest, 50), CANDIDATE), from_environment({}))
    rows = [row for k in range(8) for row in (ROW, [1], [6.3, 3.3, 6.0, k])]
    found = json.loads(report({"instances": rows}, app=app).body)
    versions = {p["version"] for p in found["predictions"] if p}
    assert versions == {CURRENT.digest, CANDIDATE.digest}
    assert [p is None for p in found["predictions"]] == [False, True, False] * 8
    *_, last = report({"instances": rows}, "text/csv", app).body.decode().splitlines()
    assert last.split(",")[-2] in versions


def test_drift_is_drawn_from_the_answered_rows() -> None:
    rows = [ROW] * 250 + [[1]]
    drift = json.loads(report({"instances": rows}, app=iris).body)["drift"]
    assert (drift["rows"], drift["word"]) == (250, "much moved")
    assert [entry["name"] for entry in drift["features"]] == NAMES
    few = json.loads(report({"instances": [ROW, [1]]}, app=iris).body)["drift"]
    assert (few["rows"], few["word"], few["features"][0]["word"]) == (1, None, None)


def test_the_answer_is_the_one_that_the_openapi_document_has() -> None:
    schema = json.loads(json.dumps({"$ref": f"{DOCUMENT}#/components/schemas/Reported"}))
    for document in (IRIS, PENGUINS, MULTILABEL):
        examples = json.loads(get("/model", served(document)).body)["examples"]
        rows = [example["row"] for example in examples] or [[1.0]]
        answer = report({"instances": [*rows, "x"]}, app=served(document))
        Draft202012Validator(schema, registry=SCHEMAS).validate(json.loads(answer.body))
