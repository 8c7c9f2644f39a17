"""What holds of tables at both doors and in every format: bytes that are not UTF-8, missing values, names."""

import io
import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import obstore
import orjson
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore
from sklearn.linear_model import LogisticRegression

from tests import door
from thimble import encodings, store
from thimble.errors import InvalidFile, InvalidInput, InvalidModel, UnprocessableRows
from thimble.files.pipeline import Pipeline
from thimble.inference import classifier
from thimble.inference.classifier import Classifier
from thimble.inference.features import Schema
from thimble.tables import csv as csv_format
from thimble.tables import fast, rows, tensors
from thimble.tables.blocks import Block
from thimble.tables.cells import MISSING
from thimble.tables.csv import Body, Csv
from thimble.tables.dialect import Layout
from thimble.tables.formats import find, named
from thimble.tables.rows import Rows
from thimble.web import media
from thimble.web.media import PLAIN
from thimble_infra import drop_report
from thimble_model import export
from thimble_model.unsupported import Unsupported

PENGUINS = (Path(__file__).parents[1] / "model/penguins.json").read_bytes()
MODEL = classifier.load(PENGUINS)
NAMES = [feature.name for feature in MODEL.features]
ROW: dict[str, Any] = dict(zip(NAMES, ("Biscoe", 39.1, 18.7, 181.0, 3750.0, "male"), strict=True))
COMPOSED = "zugehörigkeit"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


def renamed(name: str, **changes: Any) -> Classifier:
    """The penguins' model with another name for the island."""
    raw = json.loads(PENGUINS)
    raw["feature_names_in"][0] = name
    return classifier.load(orjson.dumps(raw | changes))


def dropped(
    key: str, data: bytes, model: Classifier = MODEL
) -> tuple[dict[str, Any], bytes, list[dict[str, Any]]]:
    """Summary, result and rejections."""
    inbox = MemoryStore()
    obstore.put(inbox, key, data)
    folder = f"rules-{model.digest}"
    pipeline = Pipeline(lambda key: model, f"memory:///{folder}", buckets=lambda name: inbox)
    summary = pipeline.classify("inbox", key)
    assert summary is not None
    written = {
        found["path"]: b"" for found in obstore.list(store.object_store("memory:///")[0], folder).collect()
    }
    for path in written:
        written[path] = bytes(obstore.get(store.object_store("memory:///")[0], path).bytes())
    obstore.delete(store.object_store("memory:///")[0], list(written))
    if "result" not in summary:
        return summary, b"", []
    rejections = written[summary["rejected"]].splitlines()
    return summary, written[summary["result"]], [json.loads(line) for line in rejections]


def cells(row: dict[str, Any]) -> str:
    return ",".join("" if value is None else str(value) for value in row.values()) + "\n"


def csv(*rows: dict[str, Any]) -> bytes:
    return (",".join(rows[0]) + "\n" + "".join(map(cells, rows))).encode("utf-8", "surrogateescape")


def lines(*rows: dict[str, Any]) -> bytes:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return text.encode("utf-8", "surrogateescape")


def array(*rows: dict[str, Any]) -> bytes:
    return b"[" + b",".join(lines(row) for row in rows) + b"]"


def parquet(*rows: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(list(rows)).write_parquet(out)
    return out.getvalue()


FORMS = {"csv": csv, "jsonl": lines, "json": array, "parquet": parquet}
LATIN = "K\udcf6ln"  # Köln in Windows-1252, as encodings.text keeps it


# Bytes that are not UTF-8.


@pytest.mark.parametrize("form", ["csv", "jsonl", "json"])
def test_bytes_that_are_not_utf8_reject_the_record_where_the_model_reads_them(form: str) -> None:
    rows = [ROW | {"note": "x"}, ROW | {"island": LATIN, "note": "x"}, ROW | {"note": LATIN}]
    summary, result, rejections = dropped(f"a.{form}", FORMS[form](*rows))
    assert (summary["predictions"], summary["rejections"]) == (2, 1)
    (rejection,) = rejections
    assert rejection["reason"] == "island is not UTF-8 (it looks like WINDOWS-1252)"
    assert rejection["line"] == (3 if form == "csv" else 2)
    assert result.count(b"K\xf6ln") == 1
    alone = [dropped(f"b.{form}", FORMS[form](row)) for row in rows]
    assert [found["predictions"] for found, _, _ in alone] == [1, 0, 1]


def test_a_number_is_no_better(tmp_path: Path) -> None:
    _, _, rejections = dropped("a.csv", csv(ROW | {"bill_length_mm": "39\udcb0"}))
    assert rejections[0]["reason"].startswith("bill_length_mm is not UTF-8")


def test_a_body_is_refused_by_line_and_column_and_another_column_is_not_looked_at() -> None:
    good = csv(ROW | {"note": LATIN})
    assert rows.read(media.table(good, PLAIN["text/csv"]), MODEL.schema, 10).rows == 1
    bad = csv(ROW, ROW | {"island": LATIN})
    sentence = r"^line 3: island is not UTF-8 \(it looks like WINDOWS-1252\); say which charset it has$"
    with pytest.raises(InvalidInput, match=sentence):
        rows.read(media.table(bad, PLAIN["text/csv"]), MODEL.schema, 10)
    with pytest.raises(InvalidInput, match=r"line 1 is not JSON: byte \d+ is not UTF-8 \(it looks like WIN"):
        media.table(lines(ROW | {"island": LATIN}), PLAIN["application/jsonlines"])


def test_a_header_that_is_not_utf8_is_named_and_one_that_nobody_reads_is_kept() -> None:
    model = renamed(COMPOSED)
    row = {"zugeh\udcf6rigkeit": "Biscoe", **{name: ROW[name] for name in NAMES[1:]}}
    summary, _, _ = dropped("a.csv", csv(row), model)
    assert summary["error"].startswith(
        f'the header lacks "{COMPOSED}"; one is not UTF-8 (it looks like WINDOWS-1252); it has "zugeh\\xf6rig'
    )
    _, _, rejections = dropped("a.jsonl", lines(row), model)
    assert (
        rejections[0]["reason"] == f"{COMPOSED} is missing; one key is not UTF-8 (it looks like WINDOWS-1252)"
    )
    summary, result, _ = dropped("b.csv", csv(ROW | {"St\udcfcck": 1}))
    assert (summary["predictions"], result.split(b"\n")[0].count(b",St\xfcck,label")) == (1, 1)


@pytest.mark.parametrize("form", ["csv", "jsonl", "json"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_refused_by_its_name(form: str, encoding: str) -> None:
    summary, _, _ = dropped(f"a.{form}", FORMS[form](ROW).decode().encode(encoding))
    found = encodings.said(summary["error"])
    assert found is not None
    assert found.startswith("UTF-16")
    assert encodings.command(found, "a.csv") == f"iconv -f {found} -t UTF-8 a.csv > a.utf8.csv"


# What is missing.


@pytest.mark.parametrize("marker", MISSING)
@pytest.mark.parametrize("form", FORMS)
def test_what_pandas_reads_as_missing_is_missing_in_a_file(form: str, marker: str) -> None:
    _, nothing, _ = dropped(f"a.{form}", FORMS[form](ROW | {"sex": None}, ROW))
    _, said, _ = dropped(f"a.{form}", FORMS[form](ROW | {"sex": marker}, ROW))
    assert answers(form, said) == answers(form, nothing)


def answers(form: str, result: bytes) -> list[Any]:
    if form == "parquet":
        return pl.read_parquet(io.BytesIO(result))["p_Gentoo"].to_list()
    if form == "csv":
        return [line.split(b",")[-1] for line in result.splitlines()[1:]]
    found = json.loads(result) if form == "json" else [json.loads(line) for line in result.splitlines()]
    return [row["p_Gentoo"] for row in found]


@pytest.mark.parametrize("marker", [*MISSING, float("nan"), None])
def test_what_is_missing_in_a_file_is_missing_in_a_request(marker: Any) -> None:
    k = NAMES.index("sex")
    row = ROW | {"sex": marker}
    for instances in ([row], [list(row.values())]):
        assert Rows(instances).batch(MODEL.schema, 10).texts[k].tolist() == [None]
    if isinstance(marker, str):
        text = Body(csv(ROW | {"sex": marker}))
        assert text.batch(MODEL.schema, 10).texts[k].tolist() == [None]
        kinds = {name: object if isinstance(ROW[name], str) else float for name in NAMES}
        named = tensors.Named({name: np.array([row[name]], kinds[name]) for name in NAMES})
        assert named.batch(MODEL.schema, 10).texts[k].tolist() == [None]


def known(category: str) -> Classifier:
    """A model that knows a category which means missing elsewhere."""
    return classifier.load(PENGUINS.replace(b'"male"', orjson.dumps(category)))


@pytest.mark.parametrize("marker", ["NA", "null", "n/a", "nan", "None", "#N/A"])
@pytest.mark.parametrize("form", FORMS)
def test_a_category_that_the_model_knows_is_one(form: str, marker: str) -> None:
    _, male, _ = dropped(f"a.{form}", FORMS[form](ROW))
    _, other, _ = dropped(f"a.{form}", FORMS[form](ROW | {"sex": marker}), known(marker))
    assert answers(form, other) == answers(form, male)


def required() -> Classifier:
    raw = json.loads(PENGUINS)
    raw["preprocessing"]["missing"] = [k for k in raw["preprocessing"]["missing"] if k != 0]
    return classifier.load(orjson.dumps(raw))


@pytest.mark.parametrize("marker", ["NA", "<NA>", ""])
@pytest.mark.parametrize("form", FORMS)
def test_a_text_that_may_not_be_missing_is_rejected(form: str, marker: str) -> None:
    _, _, rejections = dropped(f"a.{form}", FORMS[form](ROW, ROW | {"island": marker}), required())
    assert [found["reason"] for found in rejections] == [f"island is {'missing' if marker else 'empty'}"]
    with pytest.raises(UnprocessableRows, match=f"island is {'missing' if marker else 'empty'}$"):
        rows.read(Rows([ROW | {"island": marker}]), required().schema, 10)


def test_numbers_are_zero_where_a_feature_is_none() -> None:
    """NaN there would send every batch the slow way, and change no answer."""
    form: Any = find(named("a.csv"), csv(ROW), True, MODEL)
    block = Block(cells(ROW).encode(), np.array([len(cells(ROW)) - 1]), 2)
    tables = Rows([ROW]), Rows([[*ROW.values()]]), Rows([ROW | {"sex": "NA"}]), Body(csv(ROW))
    texts = [k for k, feature in enumerate(MODEL.features) if feature.type == "text"]
    for batch in (form.batch(block), *(table.batch(MODEL.schema, 10) for table in tables)):
        assert batch.numbers[texts].tolist() == [[0.0]] * len(texts)
        assert batch.numbers.flags.c_contiguous


@pytest.mark.parametrize("newline", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("text", ["a\nb", "a\rb"])
def test_a_newline_in_quotes_is_read_as_it_is_written(newline: str, text: str) -> None:
    model = known(text)
    table = newline.join(
        [",".join(NAMES), *(cells(ROW | {"sex": sex}).strip() for sex in (f'"{text}"', "x"))]
    )
    assert Body(table.encode()).batch(model.schema, 10).texts[5].tolist() == [text, "x"]
    form: Any = find(named("a.csv"), table.encode(), True, model)
    plain = form.complete(form.plain(table[form.body :].encode()))
    assert form.batch(Block(plain, form.cut(plain, True), 1)).texts[5].tolist() == [text, "x"]


# Names in two Unicode forms.


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("model_has", "file_has"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_a_name_is_matched_in_either_unicode_form(form: str, model_has: str, file_has: str) -> None:
    model = renamed(model_has)
    row = {file_has: "Dream", **{name: ROW[name] for name in NAMES[1:]}}
    _, result, rejections = dropped(f"a.{form}", FORMS[form](row, row), model)
    assert rejections == []
    same = {NAMES[0]: "Dream", **{name: ROW[name] for name in NAMES[1:]}}
    assert answers(form, result) == answers(form, dropped(f"a.{form}", FORMS[form](same, same))[1])
    assert Rows([row]).batch(model.schema, 10).texts[0].tolist() == ["Dream"]


@pytest.mark.parametrize("form", FORMS)
def test_a_name_in_both_forms_is_there_twice(form: str) -> None:
    row = {COMPOSED: "Dream", DECOMPOSED: "Biscoe", **{name: ROW[name] for name in NAMES[1:]}}
    summary, _, rejections = dropped(f"a.{form}", FORMS[form](row, row), renamed(COMPOSED))
    sentence = summary.get("error") or rejections[0]["reason"]
    assert sentence in (f'the header has "{COMPOSED}" more than once', f"{COMPOSED} is there 2 times")
    with pytest.raises(UnprocessableRows, match="is there twice, in two Unicode forms"):
        rows.read(Rows([row]), renamed(COMPOSED).schema, 10)


def test_a_document_has_no_twins() -> None:
    raw = json.loads(PENGUINS)
    raw["feature_names_in"][:2] = [COMPOSED, DECOMPOSED]
    with pytest.raises(InvalidModel, match=r"^feature_names_in\[1\] repeats .* in another Unicode form$"):
        classifier.load(orjson.dumps(raw))


# What reads whole blocks, and what reads a record alone.

ODD = st.sampled_from(
    [
        *(
            "Biscoe",
            "male",
            "NA",
            "n/a",
            "<NA>",
            "-nan",
            "",
            " ",
            "nan",
            "Inf",
            "1e3",
            "5",
            "-.5",
            "é",
            LATIN,
        ),
        *("\udcff", "K\u0308", "1_0", "true", "null", "'5'", "\x1f", "0x1", "1e400", "\ufeff"),
    ]
)
COLUMNS = [*NAMES, "note"]
RECORD = st.tuples(*[ODD] * len(COLUMNS)).map(lambda values: dict(zip(COLUMNS, values, strict=True)))
TABLE = st.lists(RECORD, min_size=1, max_size=6)


@given(TABLE, st.sampled_from(["csv", "jsonl", "json"]))
def test_a_record_alone_and_in_a_block_become_the_same(table: list[dict[str, Any]], form: str) -> None:
    if form != "csv":
        table = [{name: _json(value) for name, value in row.items()} for row in table]
    data = FORMS[form](*table)
    together = _classified(form, data)
    apart = [_classified(form, FORMS[form](row)) for row in table]
    assert together[0] == b"".join(result for result, _ in apart)
    assert together[1] == [reason for _, reasons in apart for reason in reasons]


def _json(text: str) -> Any:
    return {"5": 5, "1e3": 1e3, "null": None, "true": True, "nan": float("nan"), "Inf": float("inf")}.get(
        text, text
    )


def _classified(form: str, data: bytes) -> tuple[bytes, list[str]]:
    """Without header and joints, and the reasons."""
    found: Any = find(named(f"a.{form}"), data, True, MODEL)
    body = data[found.body :]
    if form == "csv" and not body.endswith(b"\n"):
        body = found.complete(body)
    answered = found.classify(Block(body, found.cut(body, True), 1))
    result = answered.result if form == "csv" else answered.result.replace(b",\n", b"\n").strip() + b"\n"
    return (b"" if result == b"\n" else result), [
        json.loads(line)["reason"] for line in answered.rejected.splitlines()
    ]


@given(
    TABLE,
    st.sampled_from([MODEL, required(), known("NA"), known("")]),
    st.sampled_from(['"', ""]),
    st.booleans(),
)
def test_what_polars_reads_and_what_is_read_plainly_are_the_same(
    table: list[dict[str, Any]], model: Classifier, quote: str, returns: bool
) -> None:
    rows = [[f"{quote}{value}{quote}" for value in row.values()] for row in table]
    lines = [COLUMNS, *rows, [], ["1", "2"], ['"x"y', *COLUMNS[1:]], ['"open', *COLUMNS[1:]]]
    newline = "\r\n" if returns else "\n"
    data = "".join(",".join(cells) + newline for cells in lines).encode("utf-8", "surrogateescape")
    form = find(named("a.csv"), data, True, model)
    assert isinstance(form, Csv)
    body = data[form.body :]
    block = Block(body, form.cut(body, True), 2)
    assert_read_alike(form.schema, form.layout, block)


def assert_read_alike(schema: Schema, layout: Layout, block: Block) -> None:
    """Fast and plainly: the same values, and the same faults."""
    fast_, plain = (
        csv_format.read(schema, layout, block, columns)
        for columns in (fast.csv_columns, csv_format.plain_columns)
    )
    assert (fast_.faults, fast_.blank) == (plain.faults, plain.blank)
    good = fast_.readable
    np.testing.assert_array_equal(fast_.numbers[:, good], plain.numbers[:, good])
    for k, texts in fast_.texts.items():
        assert texts[good].tolist() == plain.texts[k][good].tolist()


# A header of numbers.

COUNTED = [
    "0,1,2,3,4,5",
    "1,2,3,4,5,6",
    "2019,2020,2021,2022,2023,2024",
    "id,0,1,2,3,4,5",
    "10,20,30,40,50,60",
]


@pytest.mark.parametrize("header", COUNTED)
def test_numbers_that_count_up_may_be_a_header_so_it_has_to_be_said(header: str) -> None:
    text = f"{header}\n{header}\n"
    with pytest.raises(
        InvalidFile, match="data of a model that has other feature names: say which by HEADER"
    ):
        find(named("a.csv"), text.encode(), True, MODEL)
    with pytest.raises(InvalidInput, match="say which by text/csv; header=present, or header=absent"):
        Body(text.encode()).batch(MODEL.schema, 10)


def test_export_takes_no_twins() -> None:
    X = pd.DataFrame({COMPOSED: [0.0, 1.0, 2.0, 3.0], DECOMPOSED: [1.0, 0.0, 1.0, 5.0]})
    with pytest.raises(Unsupported, match=f"^Columns 0 and 1 are both called '{COMPOSED}'"):
        export(LogisticRegression().fit(X, [0, 1, 0, 1]), X)


def test_a_person_is_told_the_command_that_converts_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    path = "data/my cities.csv"
    summary, _, rejections = dropped("cities.csv", csv(ROW | {"island": LATIN}, ROW))
    refused, _, _ = dropped("wide.csv", csv(ROW).decode().encode("utf-16"))
    drop_report.show(
        [
            drop_report.Outcome("cities.csv", summary, rejections, ["there"], source=path),
            drop_report.Outcome("wide.csv", refused, source="s3://inbox/a/wide.csv.gz"),
        ]
    )
    shown = capsys.readouterr().out
    assert f"convert   {encodings.command('WINDOWS-1252', path)}\n" in shown
    fetch = "aws s3 cp s3://inbox/a/wide.csv.gz - | gzip -dc - | iconv -f UTF-16 -t UTF-8 > wide.utf8.csv"
    assert f"convert   {fetch}\n" in shown


def test_a_first_record_without_a_number_is_told_how_to_be_data() -> None:
    app = door.served(PENGUINS)
    body = b"Dream,,,,,male\nDream,39.1,18.7,181,3750,male\n"
    told = door.refusal(door.post("/classify", body, app, content_type="text/csv"), 422)
    assert "; if the first record is data, say so by text/csv; header=present, or header=absent" in told
    answered = door.post("/classify", body, app, content_type="text/csv; header=absent")
    assert answered.status == 200, answered.body


def test_no_command_is_told_that_would_damage_lines_of_utf_8(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cities.csv"
    path.write_bytes(csv(ROW | {"note": "naïve"}, ROW | {"island": LATIN, "note": "x"}))
    summary, _, rejections = dropped("cities.csv", path.read_bytes())
    drop_report.show([drop_report.Outcome("cities.csv", summary, rejections, ["there"], source=str(path))])
    shown = capsys.readouterr().out
    assert "convert   line by line: some lines are UTF-8" in shown
    assert "iconv" not in shown


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("application/json", b'{"instances":[["\\ud800",39.1,18.7,181.0,3750.0,"male"]]}'),
        ("application/jsonlines", lines(ROW | {"island": "X"}).replace(b'"X"', b'"\\ud800"')),
    ],
    ids=["json", "jsonlines"],
)
def test_half_a_character_is_refused_by_requests_as_by_files(media: str, body: bytes) -> None:
    raw = json.loads(PENGUINS)
    encode = next(step for step in raw["preprocessing"]["steps"] if step.get("column") == 0)
    encode["unknown"] = 0  # whatever the island is, there is an answer
    app = door.served(orjson.dumps(raw | {"examples": None}))
    told = door.refusal(door.post("/classify", body, app, content_type=media))
    assert "half of a surrogate pair, which is no character" in told
