"""Decimal commas and a first line `sep=;`: said, or found where they leave no doubt, alike at every door."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from tests.test_csv import HEADER, IRIS, NAMES, UNNAMED, classified, reasons
from tests.test_workflow import Bench
from thimble.errors import InvalidFile, InvalidInput, MalformedBody, NotAcceptable
from thimble.files.options import FileOptions
from thimble.inference.classifier import Classifier
from thimble.inference.features import Feature, Schema
from thimble.tables import csv as csv_format
from thimble.tables import dialect, fast
from thimble.tables.answers import Classified
from thimble.tables.blocks import BOM, Block
from thimble.tables.cells import mark_of
from thimble.tables.formats import Given
from thimble.web import media
from thimble_model import sheets

HEAD = ";".join(("id", *NAMES))
POINTED = HEADER + b"a,5.1,3.5,1.4,0.2\nb,6.3,2.9,5.6,1.8\n"
COMMAS = f"{HEAD}\na;5,1;3,5;1,4;0,2\nb;6,3;2,9;5,6;1,8\n".encode()
SAID = Given(decimal="comma")


def answers(result: bytes, delimiter: str) -> list[list[str]]:
    return [line.split(delimiter)[5:] for line in result.decode().splitlines() if "sep=" not in line]


def test_decimal_commas_are_found_and_answer_as_points_do() -> None:
    result, rejected = classified(COMMAS)
    assert not rejected
    assert answers(result, ";") == answers(classified(POINTED)[0], ",")
    assert result.startswith(COMMAS[: len(HEAD)])
    assert b"\na;5,1;3,5;1,4;0,2;setosa;" in result


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_the_last_record_is_looked_at_with_and_without_a_line_ending(ending: bytes) -> None:
    one = COMMAS.split(b"\nb;")[0]
    result, rejected = classified(one + ending)
    assert (answers(result, ";"), rejected) == (answers(classified(COMMAS)[0], ";")[:2], [])
    both = one + b"\nb;6.3;2.9;5.6;1.8" + ending  # a point in the last record leaves a doubt
    assert [line for line, _ in reasons(both)] == [2]


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("bom", [b"", BOM])
def test_a_first_line_that_says_the_delimiter_stays_the_first(size: int, newline: bytes, bom: bytes) -> None:
    data = bom + (b"sep=;\n" + COMMAS).replace(b"\n", newline)
    result, rejected = classified(data, size=size)
    assert not rejected
    assert result.startswith(bom + b"sep=;" + newline + HEAD.encode() + b";label")
    plain = classified(COMMAS.replace(b"\n", newline))[0]
    assert result == bom + b"sep=;" + newline + plain


def test_lines_are_counted_with_it_and_it_decides_the_delimiter() -> None:
    [(line, reason)] = reasons(b"sep=|\n" + COMMAS.replace(b";", b"|") + b"c|x|1|1|1\n")
    assert line == 5
    assert 'sepal length (cm) is "x"' in reason
    with pytest.raises(InvalidFile, match="it is said to be the quote"):
        classified(b"sep='\n" + COMMAS, given=Given(quote="'"))


@pytest.mark.parametrize(
    ("names", "said", "body", "line"), [(("sep=", ""), "present", 12, 3), (("", ""), "absent", 6, 2)]
)
def test_a_second_such_line_is_the_first_record(
    names: tuple[str, str], said: str, body: int, line: int
) -> None:
    """A header or a row, or neither: then the file is refused. It is never lost from the result."""
    twice, schema = b"sep=;\nsep=;\na;b\n", Schema.of([Feature(name, "text", False) for name in names], ())
    found = dialect.find(twice, True, schema, Given(header=said), (",", ";"))
    assert (found.preface, found.header) == (b"sep=;\n", b"sep=;" if said == "present" else None)
    assert (found.body, found.first_line) == (body, line)
    with pytest.raises(InvalidFile, match='it has "sep="'):
        classified(b"sep=;\nsep=;\n" + COMMAS)


def test_a_header_that_only_looks_like_it_is_a_header() -> None:
    assert dialect._preface(b"sep=ab\n1;2") == (b"", "")
    assert dialect._preface(b"sep=a\n1;2") == (b"", "")
    assert dialect._preface(b"sep=;") == (b"", "")
    assert dialect._preface(b'"sep=\t"\r\n1') == (b'"sep=\t"\r\n', "\t")


FOUND: dict[str, tuple[list[str], str]] = {
    "points": (["1.5", "2"], "."),
    "commas": (["1,5", "2"], ","),
    "whole numbers": (["1", "2"], "."),
    "what may be thousands": (["1,234", "2,500"], "."),
    "thousands and decimals": (["1,234", "2,5"], ","),
    "many decimals": (["0,123", "1,2345"], ","),
    "a zero before three decimals": (["0,123"], ","),
    "both": (["1.5", "2,5"], "."),
    "texts": (["a,b", ""], "."),
    "exponents": (["1,5e3"], ","),
}


@pytest.mark.parametrize(("cells", "mark"), FOUND.values(), ids=FOUND)
def test_a_mark_is_found_only_where_it_leaves_no_doubt(cells: list[str], mark: str) -> None:
    assert mark_of(cells) == mark


def test_where_it_is_doubtful_the_sentence_says_what_to_say() -> None:
    doubtful = f"{HEAD}\na;1,234;2;3;4\n".encode()
    [(line, reason)] = reasons(doubtful)
    assert line == 2
    assert "decimals take a point, unless the sender says that they take a comma" in reason
    assert not reasons(doubtful, given=SAID)
    [(_, reason)] = reasons(COMMAS.replace(b"6,3", b"6.3"), given=SAID)
    assert "decimals take a comma here" in reason
    [(_, reason)] = reasons(COMMAS, given=Given(decimal="point"))[:1]
    assert "unless the sender says" in reason


def test_quoted_cells_may_have_them_between_commas() -> None:
    quoted = HEADER + b'a,"5,1","3,5","1,4","0,2"\nb,"6,3","2,9","5,6","1,8"\n'
    result, rejected = classified(quoted)
    assert not rejected
    assert [line.rsplit(",", 4)[1:] for line in result.decode().splitlines()[1:]] == [
        line.rsplit(",", 4)[1:] for line in classified(POINTED)[0].decode().splitlines()[1:]
    ]


def test_a_file_without_a_header_is_none_the_less_read() -> None:
    bare = COMMAS.partition(b"\n")[2]
    assert not classified(bare.replace(b"a;", b"").replace(b"b;", b""))[1]
    assert not classified(bare.replace(b"a;", b"").replace(b"b;", b""), classifier=UNNAMED)[1]


def test_what_is_said_is_part_of_the_options_and_has_to_make_sense() -> None:
    assert FileOptions.of() != FileOptions.of(decimal="comma")
    assert FileOptions.of(decimal="comma").given == SAID
    with pytest.raises(InvalidInput, match="neither point nor comma"):
        FileOptions.of(decimal=",")


def body(data: bytes, **parameters: str) -> Any:
    return csv_format.body(data, parameters).batch(IRIS.schema, 10)


def test_a_request_reads_them_as_a_file_does() -> None:
    bare = b"sep=;\n" + COMMAS
    assert_array_equal(body(bare).numbers, body(POINTED).numbers)
    doubtful = f"{HEAD}\na;1,234;2;3;4\n".encode()
    assert "unless the sender says" in body(doubtful).faults[0].problem
    assert body(doubtful, decimal="comma").numbers[0, 0] == 1.234
    with pytest.raises(MalformedBody, match="neither point nor comma"):
        body(doubtful, decimal="none")
    with pytest.raises(NotAcceptable, match="decimal points"):
        csv_format.written(Classified(IRIS, 2, IRIS.predict(body(POINTED))), {"decimal": "comma"})


def test_training_data_are_read_as_the_doors_read_them(tmp_path: Path) -> None:
    path = tmp_path / "flowers.csv"
    path.write_bytes(b"sep=;\n" + COMMAS)
    sheet = sheets.opened(path)
    assert sheet.columns(()) == ["id", *NAMES]
    table = sheet.table(IRIS.features)
    assert table[NAMES[0]].tolist() == [5.1, 6.3]
    assert sheet.looks[NAMES[0]] is None


PARTS = st.sampled_from(
    [
        "1",
        "-2",
        "0",
        "1,5",
        "1.5",
        ",5",
        "5,",
        "1,234",
        "1.234,5",
        "1,2,3",
        " 7,5 ",
        "",
        "NA",
        "x",
        "1e3",
        "1,5e3",
        "inf",
        "1_0",
        "TRUE",
    ]
)


@given(
    st.lists(st.tuples(PARTS, PARTS, PARTS, PARTS), min_size=9, max_size=30),
    st.sampled_from(["", "comma", "point"]),
)
def test_the_fast_reading_and_the_plain_one_agree(rows: list[tuple[str, ...]], decimal: str) -> None:
    data = "".join(";".join(row) + "\n" for row in [NAMES, *rows]).encode()
    assert_alike(IRIS, data, Given(delimiter=";", decimal=decimal))


def assert_alike(classifier: Classifier, data: bytes, said: Given) -> None:
    found = dialect.find(data, True, classifier.schema, said, (";",))
    records = data[found.body :]
    block = Block(records, found.dialect.ends(records, True), found.first_line)
    batches = [
        csv_format.read(classifier.schema, found, block, columns)
        for columns in (fast.csv_columns, csv_format.plain_columns)
    ]
    for one, other in itertools.pairwise(batches):
        assert one.faults == other.faults
        kept = np.ones(one.rows, np.bool_)
        kept[[*one.faults, *one.blank]] = False
        assert_array_equal(one.numbers[:, kept], other.numbers[:, kept])


@pytest.mark.parametrize("preface", ["", "sep=;\n"])
@pytest.mark.parametrize("range_bytes", [50, 400])
def test_a_file_in_ranges_is_the_file_in_one(preface: str, range_bytes: int) -> None:
    """A range has the mark of the whole file, though its own records may tell of another."""
    plain = [f"{k};5,1;3;1,4;0,2\n" for k in range(dialect.LOOKED_AT)]
    odd = [f"{k};{cell};1,234;3;2\n" for k, cell in enumerate(["1,234", "1.5", "x", "5,", ",5", "3"] * 20)]
    data = "".join([preface, HEAD, "\n", *plain, *odd]).encode()
    bench = Bench(range_bytes)
    found = bench.check(data, "file.csv")
    assert bench.calls > 3
    assert (found["predictions"], found["rejections"]) == (len(plain) + 80, 40)
    assert bench.outcome("file.csv")[0] == classified(data)[0]


def test_over_http_the_type_says_so() -> None:
    doubtful = f"{HEAD}\na;1,234;2;3;4\n".encode()
    table: Any = media.table(doubtful, media.sent("text/csv; decimal=comma", (media.CSV,)))
    assert table.batch(IRIS.schema, 10).numbers[0, 0] == 1.234
