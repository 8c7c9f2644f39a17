"""Headers at both doors: no record of a file is taken for one, and no column is guessed."""

import io
import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from thimble.errors import InvalidFile, InvalidInput, UnprocessableRows
from thimble.files import streams
from thimble.inference.classifier import Classifier, load
from thimble.tables import csv, formats, parquet, rows
from thimble.tables.blocks import parts
from thimble.tables.formats import Given
from thimble_model import export

COLORS = np.array([["red", "big"], ["blue", "small"]] * 10, object)
X = np.random.default_rng(0).normal(size=(20, 2))
MIXED = np.column_stack([COLORS[:, 0], X[:, 0]]).astype(object)
TARGET = ["no", "yes"] * 10

NUMBERS = load(export(LogisticRegression().fit(X, TARGET), X))
ONE = load(export(LogisticRegression().fit(X[:, :1], TARGET), X[:, :1]))
IMPUTED = load(export(make_pipeline(SimpleImputer(), LogisticRegression()).fit(X, TARGET), X))
TEXTS = load(
    export(
        make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(COLORS, TARGET),
        COLORS,
    )
)
BOTH = load(
    export(
        make_pipeline(
            ColumnTransformer(
                [("a", OneHotEncoder(handle_unknown="ignore"), [0]), ("b", StandardScaler(), [1])]
            ),
            LogisticRegression(),
        ).fit(MIXED, TARGET),
        MIXED,
    )
)


def dropped(text: str, classifier: Classifier, header: str = "") -> tuple[int, list[str], int]:
    """A file's predictions, its reasons, and how many lines its result has."""
    data, rejected, tally = text.encode(), io.BytesIO(), streams.Tally(2)
    form: Any = formats.find(formats.named("a.csv"), data, True, classifier, Given(header=header))
    found = parts(form, [data[form.body :]], form.body, 1 << 40, form.first_line)
    result = form.opening + b"".join(streams.result_pieces(form, found, rejected, tally))
    reasons = [json.loads(line)["reason"] for line in rejected.getvalue().splitlines()]
    return tally.predictions, reasons, len(result.splitlines())


def posted(text: str, classifier: Classifier, header: str = "") -> int:
    """A body's rows."""
    return rows.read(csv.Body(text.encode(), header), classifier.schema, 1000).rows


# A model that knows no names.


@pytest.mark.parametrize(
    ("text", "classifier"),
    [
        ("0,1\n0.5,1.5\n", NUMBERS),
        ("0,1\n", NUMBERS),
        ("0;1\n0;1\n", NUMBERS),
        (",0,1\n0,0.5,1.5\n", NUMBERS),
        ("id,0,1\n7,0.5,1.5\n", NUMBERS),
        ("0\n1\n", ONE),
        ("NA,x\n0.5,1.5\n", NUMBERS),
        ("red,big\nblue,small\n", TEXTS),
        ("color,size\nblue,small\n", TEXTS),
        ("red,NA\nblue,\n", TEXTS),
    ],
)
def test_where_nothing_tells_a_header_from_data_it_has_to_be_said(text: str, classifier: Classifier) -> None:
    sentence = "the first record may be a header, or data of a model without feature names: say which by"
    with pytest.raises(
        InvalidFile, match=f"^{sentence} HEADER, or thimble-header in its metadata, present or absent$"
    ):
        dropped(text, classifier)
    with pytest.raises(UnprocessableRows, match=f"^{sentence} text/csv; header=present, or header=absent$"):
        posted(text, classifier)


@pytest.mark.parametrize(
    ("text", "classifier"), [("0,1\n0.5,1.5\n", NUMBERS), ("red,big\nblue,small\n", TEXTS), ("0\n1\n", ONE)]
)
def test_what_is_said_of_a_header_is_believed(text: str, classifier: Classifier) -> None:
    assert dropped(text, classifier, "absent") == (2, [], 2)
    assert dropped(text, classifier, "present") == (1, [], 2)
    assert posted(text, classifier, "absent") == 2
    assert posted(text, classifier, "present") == 1


@pytest.mark.parametrize(
    ("text", "classifier"),
    [
        ("0.5,1.5\n0.5,1.5\n", NUMBERS),
        ("1,0\n0,1\n", NUMBERS),
        ("a17,0.5,1.5\na18,0.5,1.5\n", NUMBERS),
        (",NA\n0.5,1.5\n", IMPUTED),
        ("red,0.5\nblue,1.5\n", BOTH),
        ("red,1e3\nblue,1.5\n", BOTH),
    ],
)
def test_a_first_record_of_values_is_data(text: str, classifier: Classifier) -> None:
    assert dropped(text, classifier) == (2, [], 2)
    assert posted(text, classifier) == 2


@pytest.mark.parametrize("first", ["NA,NA", ",", "1.5,x", "x,1.5", "1_000,1e", "inf,-inf", "2026-11-23,1st"])
def test_a_first_record_that_is_no_good_is_rejected_not_lost(first: str) -> None:
    predictions, reasons, lines = dropped(f"{first}\n0.5,1.5\n", NUMBERS)
    assert (predictions, len(reasons), lines) == (1, 1, 1)
    with pytest.raises(UnprocessableRows, match=r"line 1: column [12] is"):
        posted(f"{first}\n0.5,1.5\n", NUMBERS)


VALUES = st.sampled_from(
    ["0", "1", "-2.5", "1e400", "inf", "-Infinity", "nan", "NA", "", "1_0", "'5'", "+.5", "5 %"]
)


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=4), st.sampled_from([NUMBERS, IMPUTED]))
def test_no_record_of_values_well_made_or_not_is_lost(
    rows: list[tuple[str, str]], classifier: Classifier
) -> None:
    text = "".join(f"{a},{b}\n" for a, b in rows)
    if rows[0] == ("0", "1"):
        with pytest.raises(InvalidFile, match="say which"):
            dropped(text, classifier)
        return
    predictions, reasons, lines = dropped(text, classifier)
    assert (predictions + len(reasons), lines) == (len(rows), predictions)


@pytest.mark.parametrize(
    ("header", "classifier"),
    [
        ("x,y", NUMBERS),
        ("id,x,y", NUMBERS),
        (",x,y", NUMBERS),
        ("x,y,ID", NUMBERS),
        ("color,size (m)", BOTH),
        ("id,1,size", BOTH),
    ],
)
def test_words_where_numbers_belong_are_a_header(header: str, classifier: Classifier) -> None:
    row = ["red" if classifier is BOTH else "0.5", "1.5"]
    at = [k for k, name in enumerate(header.split(",")) if name.lower() not in ("", "id")]
    cells = ["7"] * len(header.split(","))
    for k, cell in zip(at, row, strict=True):
        cells[k] = cell
    text = f"{header}\n{','.join(cells)}\n"
    assert dropped(text, classifier) == (1, [], 2)
    assert posted(text, classifier) == 1


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (
            "customer_id,x,y",
            "there are 3 columns besides an id, and the model takes 2, whose names it does not know",
        ),
        ("id,x,y,z", "there are 3 columns besides an id"),
        ("id,x", "there is 1 column besides an id"),
        ("x,x", 'the header has "x" more than once'),
        ("id,id,x,y", 'the header has "id" more than once'),
    ],
)
def test_columns_of_a_model_without_names_are_not_guessed(header: str, sentence: str) -> None:
    names = header.split(",")
    text = f"{header}\n{','.join(['17'] * len(names))}\n"
    with pytest.raises(InvalidFile, match=sentence):
        dropped(text, NUMBERS)
    with pytest.raises(UnprocessableRows, match=sentence):
        posted(text, NUMBERS)
    if len(set(names)) == len(names):
        frame = pl.DataFrame({name: [17.0] for name in names})
        with pytest.raises(InvalidFile, match=sentence):
            opened(frame)


def test_an_index_that_pandas_wrote_is_an_id() -> None:
    frame = pl.DataFrame({"x": [0.5], "y": [1.5], "__index_level_0__": [7]})
    columns = opened(frame).features.columns
    assert {k: column.name for k, column in columns.items()} == {0: "x", 1: "y"}


def opened(frame: pl.DataFrame) -> parquet.Parquet:
    out = io.BytesIO()
    frame.write_parquet(out)
    data = out.getvalue()
    return parquet.opened(len(data), lambda start, stop: data[start:stop], NUMBERS)


# Any model.


@pytest.mark.parametrize("header", ["", "present", "absent"])
@pytest.mark.parametrize("text", ["", "\n", "\r\n", " \n\n"])
def test_blank_lines_are_no_records(text: str, header: str) -> None:
    for classifier in (ONE, NUMBERS):
        with pytest.raises(InvalidInput):
            posted(text, classifier, header)


def test_what_is_said_of_a_header_is_one_of_two_words() -> None:
    with pytest.raises(InvalidInput, match="the header 'yes' is neither present nor absent, nor empty"):
        Given(header="yes")
