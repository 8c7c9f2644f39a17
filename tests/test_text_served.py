"""A text is read the same at every door: quoted newlines and all, never missing, with the same bits."""

import csv
import io
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pandas as pd
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.door import IRIS, post, refusal, served, told
from tests.test_table_rules import assert_read_alike
from tests.test_workflow import Bench
from tests.text_corpora import WORDS, labels, texts
from thimble.errors import InvalidFile
from thimble.inference import classifier
from thimble.tables import csv as csv_format
from thimble.tables import dialect
from thimble.tables.blocks import Block
from thimble.tables.dialect import Given
from thimble.web.app import Response
from thimble_model import export, load

pytestmark = pytest.mark.filterwarnings("ignore")

MISSING_IN_CATEGORIES = ["NA", "", "null", "None", "NaN", "n/a", " "]
NOTES = [
    *MISSING_IN_CATEGORIES,
    *(text for script in WORDS for text in texts(script, 9)),
    'a "quoted" text, with commas\nand lines\r\nof its own',
    "tabs\tand \\n backslashes \\",
    '"',
    "ends with a newline\n",
    '{"note": "json"}',
]
LABELS = [f"label {k}" for k in range(3)]
WORDY = [f"{note} NA" if len(note) % 3 else note for note in NOTES]
Y = labels(NOTES)
TABLE = pd.DataFrame(
    {
        "note": NOTES,
        "title": WORDY,
        "mass": [float(len(note)) for note in NOTES],
        "kind": [random.Random(note).choice("ab") for note in NOTES],
    }
)
ONE = make_pipeline(TfidfVectorizer(token_pattern=r"(?u)\b\w+\b"), LogisticRegression()).fit(NOTES, Y)
SEVERAL = make_pipeline(
    make_column_transformer(
        (CountVectorizer(analyzer="char", ngram_range=(1, 2)), "note"),
        (HashingVectorizer(n_features=200), "title"),
        (StandardScaler(), ["mass"]),
        (OneHotEncoder(), ["kind"]),
    ),
    LogisticRegression(max_iter=5000),
).fit(TABLE, Y)
DOCUMENTS: dict[str, bytes] = {
    "one text": export(ONE, pd.Series(NOTES, name="note"), Y, name="notes"),
    "texts beside numbers": export(SEVERAL, TABLE, Y, name="notes"),
}
COLUMNS = {"one text": ["note"], "texts beside numbers": list(TABLE.columns)}
Answers = list[tuple[str, list[float]]]


@pytest.fixture(params=DOCUMENTS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def rows(kind: str) -> list[dict[str, Any]]:
    return [dict(zip(COLUMNS[kind], row, strict=True)) for row in TABLE[COLUMNS[kind]].to_numpy().tolist()]


def answered(response: Response) -> Answers:
    predictions = told(response)["predictions"]
    return [(row["label"], [row["probabilities"][name] for name in LABELS]) for row in predictions]


def classified(kind: str, instances: Any) -> Answers:
    return answered(post("/classify", {"instances": instances}, served(DOCUMENTS[kind])))


def test_the_answers_are_the_trainers_and_one_by_one_the_same_bits(kind: str) -> None:
    together = classified(kind, rows(kind))
    estimator, X = (ONE, NOTES) if kind == "one text" else (SEVERAL, TABLE)
    numbers = np.array([numbers for _, numbers in together])
    np.testing.assert_allclose(numbers, estimator.predict_proba(X), rtol=0, atol=1e-12)
    assert [label for label, _ in together] == estimator.predict(X).tolist()
    for i in range(0, len(NOTES), 7):
        assert classified(kind, [rows(kind)[i]]) == together[i : i + 1]


def lists(kind: str) -> list[list[Any]]:
    return [list(row.values()) for row in rows(kind)]


def by_lines(kind: str) -> bytes:
    return b"\n".join(map(orjson.dumps, rows(kind)))


def as_csv(kind: str) -> bytes:
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS[kind], quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    writer.writerows(rows(kind))
    return file.getvalue().encode()


def of_lines(response: Response) -> Answers:
    found = [orjson.loads(line) for line in response.body.splitlines()]
    return [(row["label"], [row["probabilities"][name] for name in LABELS]) for row in found]


def of_csv(response: Response) -> Answers:
    found = list(csv.reader(io.StringIO(response.body.decode())))
    return [(row[0], list(map(float, row[2:]))) for row in found if row[0] != "label"]


def of_tensors(response: Response) -> Answers:
    labels, likely = told(response)["outputs"]
    return list(zip(labels["data"], np.reshape(likely["data"], likely["shape"]).tolist(), strict=True))


def tensors(kind: str) -> dict[str, Any]:
    return {
        "inputs": [
            {
                "name": name,
                "datatype": "FP64" if name == "mass" else "BYTES",
                "shape": [len(TABLE), 1],
                "data": TABLE[name].tolist(),
            }
            for name in COLUMNS[kind]
        ]
    }


DOORS: dict[str, Callable[[str, Any], Answers]] = {
    "lists": lambda kind, app: answered(post("/classify", {"instances": lists(kind)}, app)),
    "CSV": lambda kind, app: of_csv(post("/classify", as_csv(kind), app, content_type="text/csv")),
    "JSON Lines": lambda kind, app: of_lines(
        post("/classify", by_lines(kind), app, content_type="application/jsonlines")
    ),
    "V1": lambda kind, app: answered(post("/v1/models/default:predict", {"instances": rows(kind)}, app)),
    "V2": lambda kind, app: of_tensors(post("/v2/models/default/infer", tensors(kind), app)),
    "SageMaker's CSV": lambda kind, app: of_csv(
        post("/invocations", as_csv(kind), app, content_type="text/csv; header=present")
    ),
    "SageMaker's JSON Lines": lambda kind, app: of_lines(
        post("/invocations", by_lines(kind), app, content_type="application/jsonlines")
    ),
    "SageMaker's rows": lambda kind, app: answered(post("/invocations", lists(kind), app)),
    "MLflow's records": lambda kind, app: answered(
        post("/invocations", {"dataframe_records": rows(kind)}, app)
    ),
    "MLflow's split": lambda kind, app: answered(
        post("/invocations", {"dataframe_split": {"columns": COLUMNS[kind], "data": lists(kind)}}, app)
    ),
    "MLflow's columns": lambda kind, app: answered(
        post("/invocations", {"inputs": {name: TABLE[name].tolist() for name in COLUMNS[kind]}}, app)
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_gives_the_same_bits(kind: str, door: str) -> None:
    assert DOORS[door](kind, served(DOCUMENTS[kind])) == classified(kind, rows(kind))


BARE: dict[str, Callable[[Any], Answers]] = {
    "instances": lambda app: answered(post("/classify", {"instances": NOTES}, app)),
    "V1": lambda app: answered(post("/v1/models/default:predict", {"instances": NOTES}, app)),
    "V1's inputs": lambda app: answered(post("/v1/models/default:predict", {"instances": NOTES}, app)),
    "lines": lambda app: of_lines(
        post("/classify", b"\n".join(map(orjson.dumps, NOTES)), app, content_type="application/jsonlines")
    ),
    "SageMaker's instances": lambda app: answered(post("/invocations", {"instances": NOTES}, app)),
    "SageMaker's list": lambda app: answered(post("/invocations", NOTES, app)),
    "MLflow's inputs": lambda app: answered(post("/invocations", {"inputs": NOTES}, app)),
}


@pytest.mark.parametrize("door", BARE)
def test_texts_alone_are_rows_of_a_model_that_takes_one_text(door: str) -> None:
    assert BARE[door](served(DOCUMENTS["one text"])) == classified("one text", rows("one text"))


def test_one_text_alone_is_a_row() -> None:
    app = served(DOCUMENTS["one text"])
    for text in ("", "NA", "good"):
        one = answered(post("/classify", {"instance": text}, app))
        assert one == answered(post("/classify", {"instances": [{"note": text}]}, app))


def test_texts_alone_are_no_rows_of_another_model() -> None:
    several = served(DOCUMENTS["texts beside numbers"])
    wanted = "instances[0] is a string; a row is a list of values or an object"
    assert refusal(post("/classify", {"instances": ["good"]}, several), 422) == wanted
    wanted = "instances[0] is a string; a row is a list of numbers or an object"
    assert refusal(post("/classify", {"instances": ["good"]}, served(IRIS)), 422) == wanted


@pytest.mark.parametrize(
    ("instance", "sentence"),
    [
        ({"note": None}, "instances[1].note is null, not a string"),
        ({"note": 5}, "instances[1].note is a number, not a string"),
        ([["good"]], "instances[1][0] is a list, not a string"),
        ([], "instances[1] has 0 values; the model takes 1"),
        (None, "instances[1] is null; a row is a string, a list of one string or an object"),
        ({"text": "good"}, "instances[1].note is missing"),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(instance: Any, sentence: str) -> None:
    app = served(DOCUMENTS["one text"])
    assert refusal(post("/classify", {"instances": ["good", instance]}, app), 422) == sentence


def test_a_csv_without_a_header_is_told_how_to_say_so() -> None:
    app = served(DOCUMENTS["one text"])
    wanted = 'the header lacks "note"; if the first record is data, say so by '
    for body in (b"good\nbad\n", b'"good, very"\n', b"12 good\n"):
        found = refusal(post("/classify", body, app, content_type="text/csv"), 422)
        assert found == wanted + csv_format.SAYING
        assert post("/classify", body, app, content_type="text/csv; header=absent").status == 200
    for body, said in ((b"good,\n", ""), (b"good\n", "; header=present")):  # two columns, or said already
        found = refusal(post("/classify", body, app, content_type=f"text/csv{said}"), 422)
        assert found == 'the header lacks "note"'
    with pytest.raises(InvalidFile) as error:
        dialect.find(b"good\nbad\n", True, classifier.load(DOCUMENTS["one text"]).schema, Given(), (",",))
    assert str(error.value) == f'{wanted}{dialect.SAYING}; it has "good"'


QUOTED = st.text("ab \"',;\\\n\r\t\ufeffß\u0301🎉NA", max_size=9).map(
    lambda text: '"' + text.replace('"', '""') + '"'
)
BARE_CELLS = ["", " ", "NA", "null", " a ", "5", "x y", "\udcff", '"open', '"x"y', '""""', "é"]
CELLS = st.one_of(QUOTED, st.sampled_from(BARE_CELLS))
LINES = st.tuples(CELLS, CELLS, st.sampled_from(["1", "2.5", "x"]), CELLS)


@example([('"a"', '"x\r"', "1", '"b"')] * 9, False)
@given(st.lists(LINES, min_size=9, max_size=30), st.booleans())
def test_free_texts_are_the_same_read_fast_and_read_plainly(
    rows: list[tuple[str, ...]], returns: bool
) -> None:
    schema, newline = classifier.load(DOCUMENTS["texts beside numbers"]).schema, "\r\n" if returns else "\n"
    lines = [COLUMNS["texts beside numbers"], *rows]
    data = "".join(",".join(line) + newline for line in lines).encode("utf-8", "surrogateescape")
    layout = dialect.find(data, True, schema, Given(delimiter=",", quote='"'), (",",))
    body = layout.plain(data)[layout.body :]
    block = Block(body, layout.dialect.ends(body, True), layout.first_line)
    assert_read_alike(schema, layout, block)


def as_parquet(kind: str) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(rows(kind)).write_parquet(file, row_group_size=20)
    return file.getvalue()


def read_csv(data: bytes) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


FILES: dict[str, tuple[Callable[[str], bytes], Callable[[bytes], list[dict[str, Any]]]]] = {
    "notes.csv": (as_csv, read_csv),
    "notes.jsonl": (by_lines, lambda data: [orjson.loads(line) for line in data.splitlines()]),
    "notes.parquet": (as_parquet, lambda data: pl.read_parquet(data).to_dicts()),
}


@pytest.mark.parametrize("key", FILES)
def test_a_file_whole_and_in_ranges_has_the_same_bits_and_its_texts_as_they_were(kind: str, key: str) -> None:
    write, read = FILES[key]
    bench = Bench(700, DOCUMENTS[kind])
    bench.check(write(kind), key)  # whole and in ranges, the same bytes
    assert bench.calls > 2
    found = read(bench.outcome(key)[0] or b"")
    answers = [(row["label"], [float(row[f"p_{name}"]) for name in LABELS]) for row in found]
    assert answers == classified(kind, rows(kind))
    assert [row["note"] for row in found] == NOTES


MIXED = [
    *(json.dumps(note, ensure_ascii=len(note) % 2 == 0) for note in NOTES),
    ' {"note": "good"}',
    ' "bad" ',
]
BAD = ['["good"]', "5", '"half', '"a","label":"b"', '"a": 1', '"\\ud800"', '"tab\t"', "'good'"]


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("key", ["notes.jsonl", "notes.json"])
def test_a_file_of_texts_alone_is_one_of_objects(key: str, bare: bool) -> None:
    """Whole and in ranges, with lines that are neither at their places."""
    own = MIXED if bare else [f'{{"note":{line.strip()}}}' if line[1] != "{" else line for line in MIXED]
    bad = [] if key.endswith(".json") else BAD
    spread = [line for k, one in enumerate(own) for line in (one, *bad[k : k + 1])]
    bench = Bench(700, DOCUMENTS["one text"])
    data = "\r\n".join(spread) if bad else "[" + ",\n".join(own) + "]"
    bench.check(data.encode(), key)
    result, rejected = bench.outcome(key)[:2]
    assert result is not None
    found = [orjson.loads(line) for line in result.splitlines()] if bad else orjson.loads(result)
    texts = [*NOTES, "good", "bad"]
    assert [row["note"] for row in found] == texts
    answers = [(row["label"], [float(row[f"p_{name}"]) for name in LABELS]) for row in found]
    assert answers == classified("one text", texts)
    lines = [orjson.loads(line) for line in (rejected or b"").splitlines()]
    assert [line["line"] for line in lines] == [2 * k + 2 for k in range(len(bad))]
    assert not bad or lines[0]["reason"] == "the record is a list, not an object or a string"


def test_a_text_alone_that_is_rejected_is_shown_as_it_was_sent() -> None:
    """And its columns are counted as they were sent."""
    bench = Bench(700, DOCUMENTS["one text"])
    lines = [b'"good"', b' "\\ud800" ', b'"tab\t"', b'"\xe9 \\ud800"', b'{"note": 3}', b'"bad"']
    summary = bench.check(b"\r\n".join(lines), "notes.jsonl")
    assert (summary["predictions"], summary["rejections"]) == (2, 4)
    rejected = [orjson.loads(line) for line in (bench.outcome("notes.jsonl")[1] or b"").splitlines()]
    assert [one["record"] for one in rejected] == [
        line.decode("utf-8", "backslashreplace") for line in lines[1:5]
    ]
    assert rejected[1]["reason"] == "the line is not JSON: Invalid control character at column 5"


@pytest.mark.parametrize("key", ["notes.jsonl", "notes.json"])
def test_a_text_alone_is_no_record_of_another_model(key: str) -> None:
    bench = Bench(700, DOCUMENTS["texts beside numbers"])
    bench.check(b'{"note": "a", "title": "b", "mass": 1, "kind": "a"}\n"good"\n', key)
    [line] = (bench.outcome(key)[1] or b"").splitlines()
    assert orjson.loads(line)["reason"] == "the record is a string, not an object"


def test_texts_alone_are_rows_of_a_request_that_reports() -> None:
    app = served(DOCUMENTS["one text"])
    for kind in ("json", "jsonlines"):
        body: Any = (
            {"instances": [*NOTES, 5]} if kind == "json" else b"\n".join(map(orjson.dumps, [*NOTES, 5]))
        )
        sent = {"content_type": f"application/{kind}"}
        found = told(post("/classify?rejected=report", body, app, accept="application/json", **sent))
        assert found["predictions"] == [
            *told(post("/classify", {"instances": NOTES}, app))["predictions"],
            None,
        ]
        [rejection] = found["rejected"]
        sentence = "the row is a number; a row is a string, a list of one string or an object"
        assert (rejection["row"], rejection["reason"]) == (len(NOTES), sentence)


def test_an_empty_cell_is_an_empty_text_and_a_blank_line_none() -> None:
    bench = Bench(10**6, DOCUMENTS["texts beside numbers"])
    data = b"note,title,mass,kind\n,,1,a\nNA,null,2,b\n\ngood,,3,a\n"
    bench.check(data, "notes.csv")
    found = read_csv(bench.outcome("notes.csv")[0] or b"")
    instances = [
        {"note": row["note"], "title": row["title"], "mass": float(row["mass"]), "kind": row["kind"]}
        for row in found
    ]
    assert [row["note"] for row in instances] == ["", "NA", "good"]
    answers = [(row["label"], [float(row[f"p_{name}"]) for name in LABELS]) for row in found]
    assert answers == classified("texts beside numbers", instances)


def test_no_text_in_a_file_is_a_rejection_with_its_line() -> None:
    bench = Bench(10**6, DOCUMENTS["one text"])
    bench.check(b'{"note": "good"}\n{"note": null}\n{"note": 3}\n{}\n', "notes.jsonl")
    rejected = [json.loads(line) for line in (bench.outcome("notes.jsonl")[1] or b"").splitlines()]
    assert [(one["line"], one["reason"]) for one in rejected] == [
        (2, "note is null, not a string"),
        (3, "note is a number, not a string"),
        (4, "note is missing"),
    ]


def test_a_document_in_a_notebook_takes_texts_too() -> None:
    model = load(DOCUMENTS["one text"])
    wanted = [label for label, _ in classified("one text", rows("one text"))]
    several: list[Any] = [NOTES, tuple(NOTES), pd.Series(NOTES), np.array(NOTES, object), TABLE]
    for X in several:
        assert model.predict(X)["label"].tolist() == wanted
    assert model.predict([{"note": note} for note in NOTES])["label"].tolist() == wanted


def test_a_text_that_was_given_no_name_is_called_text() -> None:
    document = json.loads(export(ONE, NOTES, Y))
    assert document["feature_names_in"] == ["text"]
    assert json.loads(export(ONE))["feature_names_in"] == ["text"]


def test_the_metadata_of_v2_says_that_texts_are_bytes() -> None:
    from tests.door import get

    inputs = told(get("/v2/models/default", served(DOCUMENTS["texts beside numbers"])))["inputs"]
    assert [one["datatype"] for one in inputs] == ["BYTES", "BYTES", "FP64", "BYTES"]
