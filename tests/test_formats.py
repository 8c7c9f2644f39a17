"""Models of real tables: text, booleans, missing values, several outputs and scores, in every format."""

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from thimble.errors import UnprocessableRows
from thimble.files import streams
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.tables import blocks, formats, parquet, rows
from thimble.tables.answers import answers
from thimble.tables.rows import Rows
from thimble.web import media
from thimble.web.media import Media
from thimble_model import export

ISLANDS = ["Biscoe", "Dream", "Torgersen"]


def training() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "island": pd.Series([[*ISLANDS, None][k] for k in rng.integers(0, 4, 60)]).astype(object),
            "sex": rng.choice(["m", "f"], 60),
            "bill": np.where(rng.random(60) < 0.2, np.nan, rng.normal(40, 5, 60)),
            "mass": rng.normal(4000, 500, 60),
        }
    )


def mixed_model(unknown: str = "ignore") -> Classifier:
    frame = training()
    frame["island"] = frame["island"].where(frame["island"].notna(), None)
    islands = make_pipeline(
        SimpleImputer(strategy="most_frequent", missing_values=None), OneHotEncoder(handle_unknown="ignore")
    )
    table = ColumnTransformer(
        [
            ("islands", islands, ["island"]),
            ("sexes", OneHotEncoder(handle_unknown=unknown), ["sex"]),
            ("bills", make_pipeline(SimpleImputer(), StandardScaler()), ["bill"]),
            ("masses", StandardScaler(), ["mass"]),
        ]
    )
    target = np.where(frame["mass"] > 4000, "heavy", "light")
    return load(export(make_pipeline(table, LogisticRegression()).fit(frame, target), frame))


MIXED, STRICT = mixed_model(), mixed_model("error")


def through(
    key: str, data: bytes, classifier: Classifier, size: int = 1 << 20
) -> tuple[bytes, list[dict[str, Any]]]:
    """A file's result and rejections."""
    tally, rejected = streams.Tally(sum(len(head.classes) for head in classifier.heads)), io.BytesIO()
    form: Any
    if key.endswith(".parquet"):
        form = parquet.opened(len(data), lambda start, stop: data[start:stop], classifier)
        parts = form.parts()
    else:
        form = formats.find(formats.named(key), data, True, classifier)
        parts = blocks.parts(form, _pieces(data, form.body, size), form.body, 1 << 40, form.first_line)
    result = b"".join(streams.result_pieces(form, parts, rejected, tally))
    tally.reconcile()
    return data[: form.prefix] + form.opening + result + form.closing, [
        json.loads(line) for line in rejected.getvalue().splitlines()
    ]


def _pieces(data: bytes, start: int, size: int) -> Iterator[bytes]:
    for at in range(start, len(data), size):
        yield data[at : at + size]


def expected(classifier: Classifier, table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the other door answers."""
    return answers(classifier, classifier.predict(rows.batch(classifier.schema, table)))


def probabilities(answered: dict[str, Any]) -> dict[str, float]:
    return {name[2:]: float(value) for name, value in answered.items() if name.startswith("p_")}


CELLS = {
    "island": st.sampled_from([*ISLANDS, None, "Elsewhere", 'é, "x"\n']),
    "sex": st.sampled_from(["m", "f", "?"]),
    "bill": st.none() | st.floats(20, 60),
    "mass": st.floats(2000, 6000) | st.integers(2000, 6000),
}
TABLES = st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=8)


@settings(max_examples=60)
@given(TABLES, st.integers(1, 30), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_a_csv_gets_the_answers_of_the_other_door(
    table: list[dict[str, Any]], size: int, quoting: Any
) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(CELLS), quoting=quoting)
    writer.writeheader()
    writer.writerows(table)
    result, rejected = through("a.csv", out.getvalue().encode(), MIXED, size)
    assert rejected == []
    for row, answer in zip(
        csv.DictReader(io.StringIO(result.decode(), newline="")), expected(MIXED, table), strict=True
    ):
        assert row["label"] == answer["label"]
        assert probabilities(row) == answer["probabilities"]


@settings(max_examples=60)
@given(TABLES, st.integers(1, 60), st.booleans())
def test_json_lines_get_the_answers_of_the_other_door(
    table: list[dict[str, Any]], size: int, ascii_only: bool
) -> None:
    data = "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in table).encode()
    result, rejected = through("a.jsonl", data, MIXED, size)
    assert rejected == []
    for line, row, answer in zip(
        result.decode().split("\n")[:-1], table, expected(MIXED, table), strict=True
    ):
        assert json.loads(line) == row | json.loads(line)
        assert probabilities(json.loads(line)) == answer["probabilities"]


@settings(max_examples=30)
@given(TABLES, st.sampled_from([pl.String, pl.Categorical]))
def test_parquet_gets_the_answers_of_the_other_door(table: list[dict[str, Any]], dtype: Any) -> None:
    schema = {"island": pl.String, "sex": pl.String, "bill": pl.Float64, "mass": pl.Float64}
    frame = pl.DataFrame(table, schema=schema, strict=False).with_columns(pl.col("island").cast(dtype))
    out = io.BytesIO()
    frame.write_parquet(out)
    result, rejected = through("a.parquet", out.getvalue(), MIXED)
    assert rejected == []
    answered = pl.read_parquet(io.BytesIO(result))
    for row, answer in zip(answered.to_dicts(), expected(MIXED, table), strict=True):
        assert probabilities(row) == answer["probabilities"]


def through_every_way_in(fan: Any, text: str, dtype: Any) -> set[str]:
    """What becomes of a boolean in CSV, JSON and Parquet at both doors: an answer, or what it is not."""
    frame = pd.DataFrame({"fan": [True, False] * 8, "x": np.arange(16.0)})
    model = load(export(LogisticRegression().fit(frame, [0, 1, 1, 0] * 4), frame))
    row, cells, out = {"fan": fan, "x": 3.0}, f"fan,x\n{text},3.0\n".encode(), io.BytesIO()
    pl.DataFrame([row], schema={"fan": dtype, "x": pl.Float64}).write_parquet(out)
    files = {"a.csv": cells, "a.jsonl": json.dumps(row).encode(), "a.parquet": out.getvalue()}
    rejections = [through(key, data, model)[1] for key, data in files.items()]
    found = {rejected[0]["reason"] if rejected else "answered" for rejected in rejections}
    for table in (Rows([row], "rows"), media.table(cells, Media("text/csv"))):
        try:
            batch = rows.read(table, model.schema, 9)
            found.add("rejected" if model.predict(batch).rejected else "answered")
        except UnprocessableRows as error:
            found.add(str(error))
    return {re.sub(r".*not true", "not true", sentence) for sentence in found}


@pytest.mark.parametrize(
    ("fan", "text", "dtype"),
    [
        (True, "True", pl.Boolean),
        (False, "FALSE", pl.Boolean),
        (1, "1", pl.Int64),
        (0, " 0 ", pl.UInt8),
        (1.0, "1.0", pl.Float64),
        (0.0, "0e0", pl.Float32),
    ],
)
def test_one_and_zero_are_booleans_by_every_way_in(fan: Any, text: str, dtype: Any) -> None:
    assert through_every_way_in(fan, text, dtype) == {"answered"}


@pytest.mark.parametrize(
    ("fan", "text", "dtype"), [(2, "2", pl.Int8), (-1, "-1", pl.Int64), (0.5, ".5", pl.Float64)]
)
def test_other_numbers_are_no_booleans_by_any_way_in(fan: Any, text: str, dtype: Any) -> None:
    assert through_every_way_in(fan, text, dtype) == {"not true or false"}


@pytest.mark.parametrize("missing", ["", '""', "NA", "NaN", "nan", "null", "None", " NA "])
def test_a_missing_number_may_be_written_in_many_ways(missing: str) -> None:
    result, rejected = through("a.csv", f"island,sex,bill,mass\nDream,m,{missing},4000\n".encode(), MIXED)
    assert rejected == []
    row = next(csv.DictReader(io.StringIO(result.decode())))
    (answer,) = expected(MIXED, [{"island": "Dream", "sex": "m", "bill": None, "mass": 4000}])
    assert probabilities(row) == answer["probabilities"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Dream,m,40,NA", 'mass is "NA", not a number'),
        ("Dream,m,40,", "mass is empty"),
        ("Dream,,40,4000", "sex is empty"),
        ("Dream,m,x,4000", 'bill is "x", not a number'),
        ("Dream,m,inf,4000", 'bill is "inf", not a number'),
        ("Dream,q,40,4000", "sex is not a category that the model knows ('f', 'm')"),
        ("Dream,m,40,1e308", "mass"),
    ],
)
@pytest.mark.parametrize("size", [5, 1 << 20])
def test_a_value_that_does_not_fit_is_rejected_by_name(line: str, reason: str, size: int) -> None:
    lines = ["island,sex,bill,mass", "Dream,m,40,4000", line, "Biscoe,f,40,4000"]
    result, rejected = through("a.csv", "\n".join(lines).encode(), STRICT, size)
    if line.endswith("1e308") and not rejected:
        return  # large, and still within what the model can say
    assert [(found["line"], found["record"]) for found in rejected] == [(3, line)]
    assert rejected[0]["reason"].startswith(reason)
    assert [row["island"] for row in csv.DictReader(io.StringIO(result.decode()))] == ["Dream", "Biscoe"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sex": None}, "sex is null, not a string"),
        ({"sex": 5}, "sex is a number, not a string"),
        ({"island": True}, "island is a boolean, not a string"),
        ({"bill": "40"}, 'bill is "40", not a number'),
        ({"sex": "q"}, "sex is not a category that the model knows ('f', 'm')"),
    ],
)
def test_a_json_value_of_another_kind_is_rejected_by_name(change: dict[str, Any], reason: str) -> None:
    row = {"island": "Dream", "sex": "m", "bill": 40, "mass": 4000}
    data = "\n".join(json.dumps(line) for line in (row, row | change, row)).encode()
    result, ((rejected),) = through("a.jsonl", data, STRICT)
    assert (rejected["line"], rejected["reason"]) == (2, reason)
    assert len(result.splitlines()) == 2


# Several outputs, and scores.


def two_columns() -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"a": rng.normal(size=50), "b": rng.normal(size=50)})
    return frame, np.where(frame["a"] > 0, "yes", "no")


def test_a_model_without_probabilities_gives_scores() -> None:
    frame, target = two_columns()
    model = load(export(LinearSVC().fit(frame, target), frame))
    result, _ = through("a.csv", b"a,b\n1.5,0.5\n", model)
    header, row = (line.split(",") for line in result.decode().splitlines())
    assert header == ["a", "b", "label", "score", "score_no", "score_yes"]
    (answer,) = expected(model, [{"a": 1.5, "b": 0.5}])
    assert row[2] == answer["label"] == "yes"
    assert [float(cell) for cell in row[3:]] == [answer["score"], *answer["scores"].values()]


def test_a_model_of_several_outputs_names_them() -> None:
    frame, target = two_columns()
    targets = pd.DataFrame({"first": target, "second": np.where(frame["b"] > 0, "up", "down")})
    model = load(export(MultiOutputClassifier(LogisticRegression()).fit(frame, targets), frame))
    (answer,) = expected(model, [{"a": 1.5, "b": 0.5}])
    names = list(answer["outputs"])
    result, _ = through("a.jsonl", b'{"a": 1.5, "b": 0.5}\n', model)
    found = json.loads(result)
    for name in names:
        assert found[f"{name}.label"] == answer["outputs"][name]["label"]
        assert found[f"{name}.probability"] == answer["outputs"][name]["probability"]
    out = io.BytesIO()
    pl.DataFrame({"a": [1.5], "b": [0.5]}).write_parquet(out)
    table = pl.read_parquet(io.BytesIO(through("a.parquet", out.getvalue(), model)[0]))
    assert table.row(0, named=True) == found


def regions_model() -> Classifier:
    """With categories that are called as others call missing values, and a name between blanks."""
    regions = ["EU", "NA", "None", "APAC", None]
    frame = pd.DataFrame({" region ": pd.Series(regions * 12).astype(object), "x": np.arange(60.0)})
    frame[" region "] = frame[" region "].where(frame[" region "].notna(), None)
    target = np.where(frame[" region "].isin(["NA", "None"]), "a", "b")
    encoder = make_pipeline(
        SimpleImputer(strategy="most_frequent", missing_values=None), OneHotEncoder(handle_unknown="ignore")
    )
    table = ColumnTransformer([("regions", encoder, [" region "])], remainder="passthrough")
    return load(export(make_pipeline(table, LogisticRegression()).fit(frame, target), frame))


REGIONS = [" region ,x", *(f"{region},3.5" for region in ("EU", "NA", "None", "nan", ""))]


def test_a_category_that_is_called_na_is_no_missing_value() -> None:
    model = regions_model()
    values = ["EU", "NA", "None", None, None]
    wanted = answers(model, model.predict(Batch.of(model.features, [values, np.full(5, 3.5)])))
    text = "\n".join([*REGIONS, ""]).encode()
    body = media.table(text, Media("text/csv")).batch(model.schema, 10)
    assert answers(model, model.predict(body)) == wanted
    result, _ = through("r.csv", text, model, 1 << 20)
    read = list(csv.DictReader(io.StringIO(result.decode())))
    assert [row["label"] for row in read] == [answer["label"] for answer in wanted]
    assert [float(row["p_a"]) for row in read] == [answer["probabilities"]["a"] for answer in wanted]


@pytest.mark.parametrize("header", [" region ,x", "x, region ", " x , region "])
def test_a_name_between_blanks_is_found_as_it_is_spelt(header: str) -> None:
    text = f"{header}\n".encode()
    form = formats.find(formats.named("r.csv"), text, False, regions_model())
    assert form.opening.startswith(header.encode())
