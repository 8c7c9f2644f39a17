"""`--data`: a table in any format is read as the doors read it, with the types that the estimator takes."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from typer.testing import CliRunner, Result

from thimble.errors import InvalidFile
from thimble.inference.classifier import load
from thimble_infra.cli import app
from thimble_model import export, reading
from thimble_model.sheets import opened


def thimble(*arguments: object, **more: Any) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], **more)


N = 60
RNG = np.random.default_rng(5)
# Codes with leading zeros, a category of that name, a gap in each type, numbers that look like nothing else.
TABLE = pd.DataFrame(
    {
        "zip": RNG.choice(["01067", "1067", "80331", "00"], N),
        "country": RNG.choice(["NA", "DE", "null"], N),
        "size": RNG.normal(3, 2, N).round(3),
        "member": RNG.choice([True, False], N),
        "note": RNG.choice(["a, b", 'say "so"', "x"], N),
        "day": "2024-05-01",
    }
)
TABLE.loc[[3, 8], "size"] = np.nan
FEATURES = [*TABLE.columns]
LABELS = pd.Series(RNG.choice(["yes", "no"], N), name="left")


@cache
def estimator() -> Any:
    texts = OneHotEncoder(handle_unknown="ignore")
    preparation = ColumnTransformer(
        [
            ("texts", texts, ["zip", "country", "note"]),
            ("size", make_pipeline(SimpleImputer(), StandardScaler()), ["size"]),
            ("member", "passthrough", ["member"]),
        ]
    )
    return make_pipeline(preparation, LogisticRegression(max_iter=1000)).fit(TABLE, LABELS)


def csv(separator: str = ",", **more: Any) -> Callable[[pd.DataFrame], bytes]:
    return lambda table: table.to_csv(index=False, sep=separator, **more).encode()


def in_polars(table: pd.DataFrame) -> pl.DataFrame:
    columns = {
        name: [None if value is None or value != value else value for value in column.tolist()]
        for name, column in table.items()
    }
    return pl.DataFrame(columns)


def to_parquet(table: pd.DataFrame) -> bytes:
    out = io.BytesIO()
    in_polars(table).write_parquet(out)
    return out.getvalue()


def pandas_parquet(table: pd.DataFrame) -> bytes:
    """With an index of its own, as filtered tables have."""
    out = io.BytesIO()
    table.set_index(np.arange(7, 7 + len(table))).to_parquet(out)
    return out.getvalue()


FORMATS: dict[str, Callable[[pd.DataFrame], bytes]] = {
    "table.csv": csv(),
    "semicolon.csv": csv(";"),
    "bom.csv": lambda table: b"\xef\xbb\xbf" + csv()(table),
    "crlf.csv": csv(lineterminator="\r\n"),
    "table.tsv": csv("\t"),
    "table.csv.gz": lambda table: gzip.compress(csv()(table)),
    "table.tsv.zst": lambda table: zstd.compress(csv("\t")(table)),
    "table.jsonl": lambda table: in_polars(table).write_ndjson().encode(),
    "table.json": lambda table: in_polars(table).write_json().encode(),
    "table.jsonl.gz": lambda table: gzip.compress(in_polars(table).write_ndjson().encode()),
    "table.parquet": to_parquet,
    "pandas.parquet": pandas_parquet,
    "no_name": csv(),
    "no_name.dat": lambda table: gzip.compress(in_polars(table).write_ndjson().encode()),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_in_any_format_is_the_table_that_it_was_trained_on(name: str, tmp_path: Path) -> None:
    """The same document, byte for byte: digest, examples, reference and scores."""
    (tmp_path / name).write_bytes(FORMATS[name](TABLE.join(LABELS)))
    X, y, others, _ = reading.read(tmp_path / name, estimator())
    assert others == []
    assert export(estimator(), X, y) == export(estimator(), TABLE, LABELS)


@pytest.mark.parametrize("name", FORMATS)
def test_standard_input_is_what_its_bytes_say(name: str, tmp_path: Path) -> None:
    joblib.dump(estimator(), tmp_path / "e.joblib")
    data = FORMATS[name](TABLE.join(LABELS))
    ended = thimble("export", tmp_path / "e.joblib", "--data", "-", "-o", tmp_path / "m.json", input=data)
    assert ended.exit_code == 0, ended.output
    digest = json.loads((tmp_path / "m.json").read_bytes())["training"]["data_digest"]
    assert digest == json.loads(export(estimator(), TABLE))["training"]["data_digest"]


def test_a_column_of_parquet_that_nobody_can_read_is_left_alone(tmp_path: Path) -> None:
    """But for one that is asked for."""
    wide = pa.array([Decimal(10) ** 50] * N, pa.decimal256(60, 0))
    table = pa.Table.from_pandas(TABLE.join(LABELS)).append_column("wide", wide)
    pq.write_table(table, tmp_path / "table.parquet")
    X, y, others, _ = reading.read(tmp_path / "table.parquet", estimator(), ["left"])
    assert others == ["wide"]
    assert export(estimator(), X, y) == export(estimator(), TABLE, LABELS)
    with pytest.raises(InvalidFile, match='"wide" cannot be read: it holds decimals of 60 '):
        reading.read(tmp_path / "table.parquet", estimator(), ["wide"])


def test_the_training_file_itself_has_not_drifted(tmp_path: Path) -> None:
    joblib.dump(estimator(), tmp_path / "e.joblib")
    data, model = tmp_path / "train.csv", tmp_path / "m.json"
    data.write_bytes(csv()(TABLE.join(LABELS)))
    assert thimble("export", tmp_path / "e.joblib", "--data", data, "-o", model).exit_code == 0
    assert thimble("classify", data, "-o", tmp_path / "answers.csv", "--model", model).exit_code == 0
    reference = json.loads(model.read_bytes())["reference"]
    summary = json.loads((tmp_path / "answers.csv.summary.json").read_bytes())
    assert summary["predictions"] == N
    assert reference["features"][1]["missing"] == 0
    shown = thimble("drift", tmp_path / "answers.csv")
    assert shown.exit_code == 0, shown.output
    assert "NA" in reference["features"][1]["categories"]
    drift = json.loads((tmp_path / "answers.csv.summary.json").read_bytes())["drift"]
    assert all(abs(feature.get("psi", 0.0) or 0.0) < 1e-9 for feature in drift["features"].values()), drift


@pytest.mark.parametrize("command", ["check", "publish", "diff"])
def test_every_command_reads_a_table_in_the_same_way(
    command: str, tmp_path: Path, s3: Any, s3_server: str
) -> None:
    joblib.dump(estimator(), tmp_path / "e.joblib")
    (tmp_path / "m.json").write_bytes(export(estimator(), TABLE, LABELS, name="members"))
    for name in ("semicolon.csv", "table.jsonl.gz", "table.parquet"):
        (tmp_path / name).write_bytes(FORMATS[name](TABLE.join(LABELS)))
        data = ("--data", tmp_path / name)
        if command == "diff":
            ended = thimble("diff", tmp_path / "m.json", tmp_path / "m.json", *data)
            told = "".join(ended.output.split())  # wherever its lines were broken
            assert f"On{tmp_path / name}:thesamelabelsfor{N}of{N}rows" in told
        else:
            at = ("--endpoint-url", s3_server, "--dry-run") if command == "publish" else ()
            ended = thimble(command, tmp_path / "m.json", "--estimator", tmp_path / "e.joblib", *data, *at)
            assert f"{N} rows: the same labels" in ended.output
        assert ended.exit_code == 0, ended.output


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("t.csv", "sise,zip\n1,2\n", "has no column 'country'"),
        (
            "t.csv",
            "zip,country,member,note,sizes\n1,2,true,3,4\n",
            "has no column 'size'; did you mean it by 'sizes'?",
        ),
        (
            "t.csv",
            "zip,country,member,note,size\n1,2,true,3,4x\n",
            't.csv: line 2: size is "4x", not a number',
        ),
        (
            "t.csv",
            "zip,country,member,note,size\n1,2,maybe,3,4\n1,2,true,3,4\n1,2,true\n",
            'line 2: member is "maybe", not a number, and 2 more records cannot be read',
        ),
        ("t.csv", "zip,country,member,note,size\n", "has no rows"),
        ("t.csv", "", "t.csv: the file is empty"),
        (
            "t.jsonl",
            '{"zip": 1, "country": "DE", "member": true, "note": "x", "size": 1}\n',
            "zip is a number",
        ),
        ("t.parquet", "PAR1", "t.parquet: the file is not Parquet, or was cut short"),
        ("t.csv.gz", "zip", "t.csv.gz: the file is not gzip, or broken"),
    ],
)
def test_what_cannot_be_read_is_a_sentence_with_its_place(
    name: str, text: str, sentence: str, tmp_path: Path
) -> None:
    joblib.dump(estimator(), tmp_path / "e.joblib")
    (tmp_path / name).write_text(text)
    ended = thimble("export", tmp_path / "e.joblib", "--data", tmp_path / name, "-o", tmp_path / "m.json")
    assert (ended.exit_code, type(ended.exception)) == (1, SystemExit), ended.exception
    assert sentence in ended.stderr
    assert not (tmp_path / "m.json").exists()


@pytest.mark.parametrize("null", [None, np.nan])
@pytest.mark.parametrize("indicator", [False, True])
def test_what_is_missing_is_so_in_the_way_that_the_estimator_knows(
    null: Any, indicator: bool, tmp_path: Path
) -> None:
    """None and NaN are two things to scikit-learn; in a file, nothing is nothing."""
    table = pd.DataFrame({"kind": pd.Series(["a", null, "b", "a"] * 5, dtype=object), "x": np.arange(20.0)})
    steps: Any = OneHotEncoder(handle_unknown="error")
    if indicator and null is not None:
        imputed = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
        steps = FeatureUnion([("seen", MissingIndicator()), ("filled", imputed)])
    elif indicator:
        steps = make_pipeline(
            SimpleImputer(strategy="constant", fill_value="none", missing_values=None), OneHotEncoder()
        )
    preparation = ColumnTransformer([("kind", steps, ["kind"])], remainder="passthrough")
    fitted = make_pipeline(preparation, LogisticRegression()).fit(table, [0, 1] * 10)
    (tmp_path / "t.csv").write_bytes(csv()(table.assign(y=[0, 1] * 10)))
    X, y, _, _ = reading.read(tmp_path / "t.csv", fitted)
    assert export(fitted, X, y) == export(fitted, table, [0, 1] * 10)


@pytest.mark.parametrize(
    ("labels", "cells"),
    [
        (["no", "yes"], ["no", "yes"]),
        (["01", "1"], ["01", "1"]),
        (["NA", "x"], ["NA", "x"]),
        ([0, 1], ["0", "1"]),
        ([0, 1], ["0.0", "1.0"]),
        ([-1.0, 2.0], ["-1", "2.0"]),
        ([False, True], ["False", "True"]),
        ([False, True], ["0", "1"]),
        ([0, 1], ["false", "true"]),
    ],
)
def test_labels_are_of_the_classes_type(labels: list[Any], cells: list[str], tmp_path: Path) -> None:
    fitted = LogisticRegression().fit(pd.DataFrame({"x": np.arange(20.0)}), labels * 10)
    lines = [f"{x},{cells[x % 2]}" for x in range(20)]
    (tmp_path / "t.csv").write_text("\n".join(["x,label", *lines, ""]))
    for targets in ((), ("label",)):
        X, y, others, _ = reading.read(tmp_path / "t.csv", fitted, targets)
        assert y is not None
        assert others == []
        assert y.tolist() == labels * 10
        scores = json.loads(export(fitted, X, y))["training"]["scores"]
        assert scores["accuracy"] == fitted.score(X, np.array(labels * 10))


def test_several_targets_are_read_each_as_its_own(tmp_path: Path) -> None:
    table = pd.DataFrame({"x": RNG.normal(size=40), "a": [0, 1] * 20, "b": [1, 1, 0, 0] * 10, "other": "z"})
    fitted = MLPClassifier((3,), max_iter=5000, random_state=0).fit(
        table[["x"]], table[["a", "b"]].to_numpy()
    )
    (tmp_path / "t.csv").write_bytes(csv()(table))
    X, y, others, _ = reading.read(tmp_path / "t.csv", fitted, ["a", "b"])
    assert y is not None
    assert y.tolist() == table[["a", "b"]].to_numpy().tolist()
    assert others == ["other"]
    export(fitted, X, y)


def test_without_names_the_features_are_the_columns_in_order(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"id": np.arange(20), "u": np.arange(20.0), "v": np.arange(20.0) ** 2, "y": ["a", "b"] * 10}
    )
    fitted = LogisticRegression(max_iter=5000).fit(table[["u", "v"]].to_numpy(), table["y"])
    for name in ("table.csv", "table.parquet", "table.jsonl"):
        (tmp_path / name).write_bytes(FORMATS[name](table))
        X, y, _, _ = reading.read(tmp_path / name, fitted)
        assert list(X.columns) == ["u", "v"]
        assert y is not None
        assert load(export(fitted, X, y)).feature_names == ("u", "v")


CODES = st.text(st.sampled_from("019ANae./-"), min_size=1, max_size=4)


@settings(max_examples=25)
@given(
    st.lists(CODES, min_size=2, max_size=6, unique=True),
    st.sampled_from(["table.csv", "table.jsonl", "table.parquet"]),
)
def test_codes_are_the_texts_that_the_estimator_knows(codes: list[str], name: str) -> None:
    """Whatever they look like: numbers, markers of what is missing, dates."""
    table = pd.DataFrame({"code": codes * 3})
    fitted = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(table, [0, 1, 1] * len(codes))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(FORMATS[name](table))
        assert reading.read(path, fitted).rows["code"].tolist() == table["code"].tolist()


def test_a_large_file_is_read_block_by_block_in_order(tmp_path: Path) -> None:
    table = pd.DataFrame({"x": np.arange(200_000.0), "kind": ["a", "b"] * 100_000})
    preparation = ColumnTransformer([("kind", OrdinalEncoder(), ["kind"])], remainder="passthrough")
    fitted = make_pipeline(preparation, StandardScaler(), LogisticRegression()).fit(table[:100], [0, 1] * 50)
    for name in ("table.csv", "table.parquet"):
        (tmp_path / name).write_bytes(FORMATS[name](table))
        pd.testing.assert_frame_equal(
            reading.read(tmp_path / name, fitted).rows,
            table.astype({"kind": object}),
            check_column_type=False,
        )


@pytest.mark.parametrize(
    "name", ["iris.csv", "iris.tsv", "iris.jsonl", "iris.json", "iris.parquet", "iris.csv.gz"]
)
def test_training_data_are_saved_in_the_format_of_their_name(name: str, tmp_path: Path) -> None:
    saved = ("--estimator", tmp_path / "e.joblib", "--data", tmp_path / name)
    assert thimble("train-iris", "-o", tmp_path / "m.json", *saved).exit_code == 0
    ended = thimble("export", tmp_path / "e.joblib", "--data", tmp_path / name, "-o", tmp_path / "again.json")
    assert ended.exit_code == 0, ended.output
    trained, again = (json.loads((tmp_path / file).read_bytes()) for file in ("m.json", "again.json"))
    assert again["training"]["data_digest"] == trained["training"]["data_digest"]
    assert again["training"]["scores"] == trained["training"]["scores"]


def test_a_name_that_says_no_format_to_save_in_is_a_sentence(tmp_path: Path) -> None:
    for name in ("iris.xlsx", "iris.parquet.gz", "iris"):
        ended = thimble("train-iris", "-o", tmp_path / "m.json", "--data", tmp_path / name)
        assert (ended.exit_code, type(ended.exception)) == (1, SystemExit)
        assert "says no format to save a table in; these do: .csv, " in ended.stderr
        assert not (tmp_path / name).exists()


def test_nothing_that_is_no_table_is_guessed_at(tmp_path: Path) -> None:
    for data in (b"\x80\x05\x00pickle", b"PK\x03\x04", b"%PDF-1.4"):
        (tmp_path / "unknown").write_bytes(data)
        with pytest.raises(InvalidFile, match="unknown: the name says"):
            opened(tmp_path / "unknown").columns(())


def test_exporting_from_python_needs_no_reader_of_files() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, model; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "polars" not in loaded.stdout.split()


@pytest.mark.parametrize(
    ("name", "encoding", "looks"),
    [
        ("t.csv", "cp1252", "WINDOWS-1252"),
        ("t.tsv", "cp1252", "WINDOWS-1252"),
        ("t.jsonl", "cp1252", "WINDOWS-1252"),
        ("t.csv", "utf-16", "UTF-16"),
    ],
)
def test_a_file_in_another_encoding_is_told_with_the_command_that_converts_it(
    name: str, encoding: str, looks: str, tmp_path: Path
) -> None:
    table = pd.DataFrame({"city": ["Köln", "Bonn"] * 10, "y": [0, 1] * 10})
    fitted = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(table[["city"]], table["y"])
    text = FORMATS[f"table.{name.partition('.')[2]}"](table).decode()
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    with pytest.raises(InvalidFile) as raised:
        reading.read(path, fitted)
    assert f"is not UTF-8 (it looks like {looks})" in str(raised.value)
    command = str(raised.value).partition("; convert it: ")[2]
    assert command.startswith(f"iconv -f {looks} -t UTF-8 ")
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    converted = path.with_name(f"{path.stem}.utf8{path.suffix}")
    assert reading.read(converted, fitted).rows["city"].tolist() == table["city"].tolist()


def test_the_mark_of_decimals_is_found_or_said(tmp_path: Path) -> None:
    """1,234 in every row may be thousands: then it is said, of all files that are read."""
    X = pd.DataFrame({"a": [1.234, 2.345, 3.456, 4.567] * 3, "b": [5.678, 1.234, 2.345, 9.876] * 3})
    y = np.array(["no", "yes"] * 6)
    fitted = LogisticRegression().fit(X, y)
    joblib.dump(fitted, tmp_path / "e.joblib")
    X.assign(label=y).to_csv(tmp_path / "t.csv", index=False, sep=";", decimal=",")
    X.assign(label=y, a=X["a"].round(1)).to_csv(tmp_path / "found.csv", index=False, sep=";", decimal=",")
    files = ["--data", tmp_path / "t.csv", "--holdout", tmp_path / "t.csv"]
    call = ["export", tmp_path / "e.joblib", *files, "-o", tmp_path / "m.json"]
    assert thimble(*call).exit_code > 0
    assert "neither point nor comma" in thimble(*call, "--decimal", "dot").stderr
    done = thimble(*call, "--decimal", "comma")
    assert done.exit_code == 0, done.stderr
    told, wanted = (
        json.loads(data)["reference"] for data in ((tmp_path / "m.json").read_bytes(), export(fitted, X, y))
    )
    assert told == wanted
    assert reading.read(tmp_path / "found.csv", fitted).rows["b"].tolist() == X["b"].tolist()
