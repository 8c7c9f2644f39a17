"""CSV and its dialects: what is a record, a cell, a header and a number, and that blocks change nothing."""

import csv
import io
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from thimble.errors import InvalidFile, InvalidInput
from thimble.files import streams
from thimble.inference.batch import Batch
from thimble.inference.classifier import Classifier, load
from thimble.tables import csv as csv_format
from thimble.tables import dialect, fast, formats, tokens
from thimble.tables.blocks import Format, parts
from thimble.tables.cells import Unfit, number
from thimble.tables.csv import Columns, Csv
from thimble.tables.formats import Given
from thimble.tables.tokens import Dialect, Tokens

IRIS = load((Path(__file__).parents[1] / "model" / "iris.json").read_bytes())
NAMES = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
UNNAMED = load((Path(__file__).parent / "documents" / "data-team.json").read_bytes())
READERS: tuple[Columns, ...] = (fast.csv_columns, csv_format.plain_columns)
HEADER = ("id," + ",".join(NAMES) + "\n").encode()


def classified(
    data: bytes,
    size: int = 1 << 20,
    key: str = "file.csv",
    classifier: Classifier = IRIS,
    given: Given = formats.FOUND,
) -> tuple[bytes, list[dict[str, Any]]]:
    """A whole file's result and rejections, read `size` bytes at a time."""
    form = formats.find(
        formats.named(key), data[: formats.HEAD_BYTES], len(data) <= formats.HEAD_BYTES, classifier, given
    )
    result, rejected, tally = part(form, data, form.body, len(data), size)
    tally.reconcile()
    assert tally.rejections == len(rejected)
    return form.opening + result + form.closing, rejected


def part(
    form: Format, data: bytes, start: int, stop: int, size: int
) -> tuple[bytes, list[dict[str, Any]], streams.Tally]:
    def pieces() -> Iterator[bytes]:
        for at in range(start, len(data), size):
            yield data[at : at + size]

    tally, rejected = streams.Tally(3), io.BytesIO()
    result = b"".join(
        streams.result_pieces(form, parts(form, pieces(), start, stop, form.first_line), rejected, tally)
    )
    return result, [json.loads(line) for line in rejected.getvalue().splitlines()], tally


def reasons(data: bytes, **options: Any) -> list[tuple[int, str]]:
    return [(found["line"], found["reason"]) for found in classified(data, **options)[1]]


def layout(data: bytes, key: str = "file.csv", classifier: Classifier = IRIS) -> Csv:
    form = formats.find(formats.named(key), data, True, classifier)
    assert isinstance(form, Csv)
    return form


# What is a number.

CELLS = st.text(
    st.sampled_from("0123456789+-.eEinfaxNA_ \t\r\x0b\x00\uff11\u0663\u2212\xa0'%$"), max_size=12
) | st.one_of(st.floats(), st.integers()).map(str)


@given(st.lists(CELLS, min_size=1, max_size=20))
@example(
    [
        "5",
        " 5",
        "5 ",
        "\t5\r",
        "+1",
        ".5",
        "1.",
        "1e5",
        "",
        "inf",
        "nan",
        "1_0",
        "0x1",
        "1e400",
        "-0",
        "\uff15",
    ]
)
def test_whole_blocks_and_single_cells_agree_on_every_text(cells: list[str]) -> None:
    form = layout(b"1,2,3,4,a\n")
    data = "".join(f"{cell},2,3,4,a\n" for cell in cells).encode()
    for columns in READERS:
        batch, flags = columns(form.schema, form.layout, Tokens(form.layout.dialect, data), len(cells))
        for bulk, doubtful, cell in zip(batch.numbers[0].tolist(), flags.tolist(), cells, strict=True):
            if not doubtful:
                assert bulk == number("x", cell)
    accepted = [cell for cell in cells if _is_number(cell)]
    result, rejected = classified(b"1,2,3,4,a\n" + data)
    assert len(rejected) == len(cells) - len(accepted)
    assert len(result.splitlines()) >= 1 + len(accepted)


def _is_number(cell: str) -> bool:
    try:
        return float(cell.strip(" \t\r")) == number("x", cell)
    except (ValueError, Unfit):
        return False


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_a_float_is_read_to_the_last_bit(values: list[float]) -> None:
    form = layout(b"5,2,3,4\n")
    data = "".join(f"{value!r},{value:.17e},{value:.25f},4\n" for value in values).encode()
    for columns in READERS:
        X = columns(form.schema, form.layout, Tokens(form.layout.dialect, data), len(values))[0].numbers
        assert X[0].tobytes() == X[1].tobytes() == np.array(values).tobytes()
        assert X[2].tolist() == [float(f"{value:.25f}") for value in values]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", "petal width (cm) is empty"),
        ("  ", "petal width (cm) is empty"),
        ("abc", 'petal width (cm) is "abc", not a number'),
        ("nan", 'petal width (cm) is "nan", not a number'),
        ("-inf", 'petal width (cm) is "-inf", not a number'),
        ("1_000", 'petal width (cm) is "1_000", not a number'),
        (
            '"1,5"',
            'petal width (cm) is "1,5", not a number; decimals take a point, unless the sender says that '
            "they take a comma",
        ),
        ('"1,500,000"', 'petal width (cm) is "1,500,000", not a number'),
        ('"5"1', 'the record has text after a closing "'),
        ("1e999", 'petal width (cm) is "1e999", too large, not a finite number'),
        ("x" * 99, f'petal width (cm) is "{"x" * 40}…", not a number'),
    ],
)
def test_a_cell_that_is_no_number_is_named(cell: str, reason: str) -> None:
    assert reasons(HEADER + f"1,5.5,3,1,{cell}\n".encode()) == [(2, reason)]


# What is a record.


def reference(text: str, delimiter: str) -> list[list[str]]:
    """Records' raw cells, character by character: the rules of `tokens` in their plainest form."""
    records, cells, cell, i = [], [], "", 0
    while i < len(text):
        end = _quoted_end(text, i) if text[i] == '"' and cell == "" else None
        if end is not None:
            cell, i = text[i:end], end
        elif text[i] in (delimiter, "\n"):
            cells.append(cell)
            if text[i] == "\n":
                records.append(cells)
                cells = []
            cell, i = "", i + 1
        else:
            cell, i = cell + text[i], i + 1
    return [*records, [*cells, cell]] if cells or cell else records


def _quoted_end(text: str, start: int) -> int | None:
    i = start + 1
    while (i := text.find('"', i)) >= 0:
        if text[i : i + 2] != '""':
            return i + 1
        i += 2
    return None


TANGLED = st.text(st.sampled_from('",;\n\ra1 '), max_size=60)


def raw_cells(data: bytes, dialect: Dialect) -> list[list[str]]:
    ends = [*dialect.ends(data, final=True).tolist(), len(data)]
    records = [data[a:b] for a, b in zip([0, *(end + 1 for end in ends[:-1])], ends, strict=True)]
    if not records[-1]:
        records.pop()
    return [_split(record, dialect) for record in records]


def _split(record: bytes, dialect: Dialect) -> list[str]:
    bounds = [-1, *Tokens(dialect, record).separators.tolist(), len(record)]
    return [record[a + 1 : b].decode() for a, b in pairwise(bounds)]


@given(TANGLED)
@example('a"b,"c,d",e"f\n"g""h",i\n""",\n"\n1,"2')
@example('"a""b,""c\n1,2\n')
def test_records_and_cells_are_those_of_the_plain_rules(text: str) -> None:
    assert raw_cells(text.encode(), Dialect(b",")) == reference(text, ",")


@given(
    st.lists(st.lists(st.text('ab",\n 1'), min_size=1, max_size=4), max_size=8), st.sampled_from([0, 1, 2])
)
def test_what_pythons_csv_module_writes_is_read_as_it_reads_it(rows: list[list[str]], quoting: Any) -> None:
    rows = [row for row in rows if row != [""]]
    out = io.StringIO()
    csv.writer(out, quoting=quoting, lineterminator="\n").writerows(rows)
    found = [
        [cell[1:-1].replace('""', '"') if cell.startswith('"') else cell for cell in cells]
        for cells in raw_cells(out.getvalue().encode(), Dialect(b","))
    ]
    assert found == rows


@given(TANGLED, st.integers(1, 8))
def test_a_long_quoted_field_is_none_wherever_the_block_ends(text: str, limit: int) -> None:
    data = text.encode() + b"\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "MAX_RECORD_BYTES", limit)
        dialect = Dialect(b",")
        whole = dialect.ends(data, final=True).tolist()
        for cut in range(1, len(data)):
            early = dialect.ends(data[:cut], final=False).tolist()
            assert early == whole[: len(early)]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("text", ["x", " ", '"x', "'"])
def test_text_after_a_closing_quote_costs_its_record_alone(text: str, newline: str) -> None:
    rows = [f'"{k}"{text * (k in (1, 4))},5,3,1,.2{newline}' for k in range(6)]
    reason = 'the record has text after a closing "'
    data = HEADER.replace(b"\n", newline.encode()) + "".join(rows).encode()
    assert reasons(data) == [(3, reason), (6, reason)]
    assert reasons(data, size=7) == reasons(data)


def test_a_header_with_text_after_a_closing_quote_refuses_the_file() -> None:
    with pytest.raises(InvalidFile, match=r'^the header has text after a closing "$'):
        classified(b'"id"x' + HEADER[2:] + b"1,5,3,1,.2\n")


# Which column is what.


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_column_may_be_long_or_short_and_a_few_cells_none(quote: str, newline: str) -> None:
    numbers = np.random.default_rng(0).normal(size=(3000, 4)).tolist()
    rows = [[f"{a:.1f}", repr(b), f"{c:.0f}", str(round(d, k % 4))] for k, (a, b, c, d) in enumerate(numbers)]
    rows[7][0], rows[2000][3] = "x", ""
    lines = [",".join([f"{quote}{k}, so{quote}" if quote else str(k), *row]) for k, row in enumerate(rows)]
    data = HEADER.replace(b"\n", newline.encode()) + (newline.join([*lines, ""])).encode()
    result, rejected = classified(data)
    assert [(found["line"], found["reason"]) for found in rejected] == [
        (9, 'sepal length (cm) is "x", not a number'),
        (2002, "petal width (cm) is empty"),
    ]
    assert (result, rejected) == classified(data, size=1000)


def test_columns_are_matched_by_name_in_any_order() -> None:
    shuffled = [NAMES[2], "note", NAMES[0], NAMES[3], NAMES[1]]
    result, _ = classified((",".join(shuffled) + "\n1.4,x,5.1,0.2,3.5\n").encode())
    plain, _ = classified(b"5.1,3.5,1.4,0.2\n")
    assert result.splitlines()[1].split(b",")[5:] == plain.splitlines()[0].split(b",")[4:]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    data = (
        delimiter.join(["id", *NAMES]) + "\n" + delimiter.join(["1", "5", "3", "1", ".2"]) + "\n"
    ).encode()
    header, row = classified(data)[0].decode().splitlines()
    assert header.split(delimiter)[-3:] == ["p_setosa", "p_versicolor", "p_virginica"]
    assert len(row.split(delimiter)) == 10
    assert classified(data, key="file.tsv")[0] == classified(data)[0] if delimiter == "\t" else True


def test_the_quote_is_found() -> None:
    plain, _ = classified(HEADER + b"1,5,3,1,.2\n")
    quoted = b"'" + HEADER.replace(b",", b"','").replace(b"\n", b"'\n")
    result, rejected = classified(quoted + b"'a,\nb','5','3','1','.2'\n")
    assert rejected == []
    assert result.splitlines()[2].split(b",")[-5:] == plain.splitlines()[1].split(b",")[-5:]


def test_an_apostrophe_is_no_quote_where_the_first_record_has_none() -> None:
    result, rejected = classified(HEADER + b"'s-Gravenhage,5,3,1,.2\n't Hooft,5,3,1,.2\n")
    assert rejected == []
    assert len(result.splitlines()) == 3


def test_a_delimiter_that_is_given_is_not_looked_for() -> None:
    header, row = b"~".join([b"id", *(name.encode() for name in NAMES)]), b"a,b;c~5~3~1~.2"
    result, rejected = classified(header + b"\n" + row + b"\n", given=Given("~"))
    assert rejected == []
    assert result.splitlines()[1].startswith(row + b"~setosa~")
    with pytest.raises(InvalidFile, match="the header lacks"):
        classified(HEADER + b"1,5,3,1,.2\n", given=Given(";"))


@pytest.mark.parametrize("tab", ["tab", "\t", "\\t"])
def test_a_tab_can_be_spelled(tab: str) -> None:
    data = HEADER.replace(b",", b"\t") + b"1\t5\t3\t1\t.2\n"
    assert classified(data, given=Given(tab)) == classified(data)


@pytest.mark.parametrize("quote", ["^", "]", "\\", "|", "'"])
def test_any_mark_can_be_the_quote(quote: str) -> None:
    row = '"a,""b\n","5","3","1",".2"\n'
    expected, _ = classified(HEADER + row.encode())
    result, rejected = classified(HEADER + row.replace('"', quote).encode(), given=Given(quote=quote))
    assert rejected == []
    assert result.decode().replace(quote, '"') == expected.decode()


def test_where_quotes_are_characters_they_hold_nothing_together() -> None:
    rows = b'"a,5,3,1,.2\n"b",5,3,1,.2\n"c\n'
    result, rejected = classified(HEADER + rows, given=Given(quote="none"))
    assert [line.split(b",")[0] for line in result.splitlines()[1:]] == [b'"a', b'"b"']
    assert [found["line"] for found in rejected] == [4]


@pytest.mark.parametrize("mark", [";;", "5", "e", "-", ".", "\n", "\x1f", "é"])
def test_what_cannot_tell_cells_apart_is_no_delimiter_and_no_quote(mark: str) -> None:
    for name in ("delimiter", "quote"):
        with pytest.raises(InvalidInput, match="is not one character of ASCII punctuation"):
            Given(**{name: mark})
    with pytest.raises(InvalidInput, match="are both"):
        Given(";", ";")


def test_a_first_record_of_numbers_is_no_header() -> None:
    result, _ = classified(b"5.1,3.5,1.4,0.2\n4.9,3.0,1.4,0.2\n")
    assert len(result.splitlines()) == 2


def test_without_a_header_the_features_are_the_cells_with_numbers() -> None:
    result, _ = classified(b"first,5.1,3.5,1.4,0.2,Iris-setosa\nsecond,4.9,3.0,1.4,0.2,Iris-setosa\n")
    assert [line.split(b",")[6] for line in result.splitlines()] == [b"setosa", b"setosa"]


def test_a_model_without_names_takes_the_columns_that_are_no_id() -> None:
    n = UNNAMED.n_features
    names = ",".join(f"c{k}" for k in range(n))
    numbers = ",".join(["1.5"] * n)
    header = layout(f"id,{names}\n77,{numbers}\n".encode(), classifier=UNNAMED)
    assert list(header.layout.features.values()) == list(range(1, n + 1))
    none = layout(f"{numbers}\n".encode(), classifier=UNNAMED)
    assert list(none.layout.features.values()) == list(range(n))
    assert none.opening == b""
    pandas = layout(f",{names}\n0,{numbers}\n".encode(), classifier=UNNAMED)
    assert list(pandas.layout.features.values()) == list(range(1, n + 1))


@pytest.mark.parametrize(
    ("data", "key", "message"),
    [
        (b"", "a.csv", "the file is empty"),
        (b"\n\n", "a.csv", "the file is empty"),
        (b"a,b\n1,2\n", "a.csv", 'the header lacks "sepal length \\(cm\\)", .*; it has "a", "b"'),
        (HEADER[:-1] + b"," + NAMES[0].encode() + b"\n", "a.csv", '"sepal length \\(cm\\)" more than once'),
        (HEADER[:-1] + b",label\n", "a.csv", 'already has "label", which the answers are called'),
        (HEADER[:-1] + b",p_setosa\n", "a.csv", 'already has "p_setosa"'),
        (b"1,5.1,3.5,1.4,0.2\n", "a.csv", "no header, and the 4 features cannot be told among the 5 cells"),
        (b"2,1\n", "a.csv", "cannot be told among the 2 cells"),
        ("a,b\n".encode("utf-16"), "a.csv", "UTF-16"),
        (b"\x1f\x8b\x08\x00", "a.csv", "the name says .csv, but the first bytes say gzip"),
        (b"PAR1", "a.csv", "the first bytes say Parquet"),
        (HEADER, "a.pdf", "the name says no format that is read here"),
        (HEADER, "a", "the name says no format that is read here"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(data: bytes, key: str, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        classified(data, key=key)


def test_a_header_alone_is_a_file_of_no_rows() -> None:
    result, rejected = classified(HEADER)
    assert result == HEADER[:-1] + b",label,probability,p_setosa,p_versicolor,p_virginica\n"
    assert rejected == []


def test_a_record_of_a_megabyte_is_no_row() -> None:
    with pytest.raises(InvalidFile, match="the record that begins on line 3 is longer than 1048576 bytes"):
        classified(HEADER + b"1,5,3,1,1\n" + b"x" * (2 << 20) + b"\n1,5,3,1,1\n")


# What comes out.


def test_every_column_comes_back_byte_for_byte() -> None:
    rows = [b'"a ""b"", c"', b"  x ", b"\xe9\xff", b"", '"two\nlines é"'.encode(), b'5" pipe']
    data = b"".join(row + b',5.1,3.5, 1.4,"0.2"\r\n' for row in rows)
    result, rejected = classified(HEADER.replace(b"\n", b"\r\n") + data)
    assert rejected == []
    body = result.split(b"\r\n", 1)[1]
    answer = classified(b"5.1,3.5,1.4,0.2\n")[0].split(b",", 4)[4].rstrip()
    assert body == b"".join(row + b',5.1,3.5, 1.4,"0.2",' + answer + b"\r\n" for row in rows)


def test_the_bytes_of_a_byte_order_mark_stay_where_they_are() -> None:
    mark = "\ufeff".encode()
    result, _ = classified(mark + HEADER + mark + b"1,5.1,3.5,1.4,0.2\n" + mark + b"2,5.1,3.5,1.4,0.2")
    assert [line.startswith(mark) for line in result.splitlines()] == [True, True, True]


def test_a_stray_quote_costs_only_its_own_record() -> None:
    lines = ["1,5,3,1,1", '2" x,5,3,1,1', '"3,5,3,1,1', "4,5,3,1,1"]
    data = HEADER + "\n".join(lines).encode()
    result, _ = classified(data)
    assert [line.split(b",")[0] for line in result.splitlines()[1:]] == [b"1", b'2" x', b"4"]
    assert reasons(data) == [(4, 'the record opens a " that is never closed')]


@given(st.lists(st.sampled_from(['"a', 'a"', '"a""', '"a"', "a", '"a\nb"', '"a"b']), min_size=1, max_size=6))
def test_a_strict_reader_finds_as_many_rows_in_the_result_as_were_answered(notes: list[str]) -> None:
    data = HEADER + "".join(f"{note},5,3,1,1\n" for note in notes).encode()
    result, _ = classified(data)
    ids = [row[0] for row in csv.reader(io.StringIO(result.decode()))][1:]
    assert len(ids) == classified_rows(data)


def classified_rows(data: bytes) -> int:
    form = layout(data)
    return part(form, data, form.body, len(data), 1 << 20)[2].predictions


def test_a_header_with_a_stray_quote_is_refused() -> None:
    with pytest.raises(InvalidFile, match='the header opens a " that is never closed'):
        classified(b'"note,' + HEADER + b"x,1,5,3,1,1\n")


def test_a_line_of_blanks_is_no_record() -> None:
    result, rejected = classified(HEADER + b"1,5,3,1,1\n   \n \t\r\n2,5,3,1,1\n")
    assert rejected == []
    assert len(result.splitlines()) == 3
    tabs = HEADER.replace(b",", b"\t") + b"1\t5\t3\t1\t1\n\t\t\n  \n"
    assert reasons(tabs) == [(3, "the record has 3 cells, where 5 cells belong")]


@pytest.mark.parametrize(
    "rows", [HEADER + b"1,5,3,1,1\n", b"5,3,1,1\n4,3,1,1\n", HEADER + b'"a\rb",5,3,1,x\n1,5,3,1,1']
)
@pytest.mark.parametrize("size", [7, 1 << 20])
def test_lines_that_end_with_cr_alone_are_lines(rows: bytes, size: int) -> None:
    exchanged = bytes.maketrans(b"\r\n", b"\n\r")
    result, rejected = classified(rows, size=size)
    found, others = classified(rows.translate(exchanged), size=size)
    assert found.translate(exchanged) == result
    assert [(one["line"], one["reason"]) for one in others] == [
        (one["line"], one["reason"]) for one in rejected
    ]


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    data = HEADER + b'\n"a\nb",5,3,1,1\n\n"c\nd",5,3,1,x\n1,2\n'
    assert [line for line, _ in reasons(data)] == [6, 8]
    assert reasons(data, size=3) == reasons(data)


# Blocks and ranges change nothing.

NUMBERS = st.sampled_from(["5.1", "3", "0.2", " 6", "-1e-3", '"4.2"', "+7", "1."])
ODD = st.sampled_from(["", "x", "nan", '"1', '2"3', "1e999", "é", "\x1f"])
NOTES = st.sampled_from(["1", "", '"a,b"', '"two\nlines"', '"say ""hi"""', 'in"ch', "é", "\udce9", '"\r\n"'])
ENDINGS = st.sampled_from(["\n", "\n", "\n", "\r\n"])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    delimiter = draw(st.sampled_from([",", ";", "\t"]))
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    text = draw(st.sampled_from(["", "\ufeff"])) + delimiter.join(["note", *NAMES]) + ending
    for _ in range(draw(st.integers(0, 12))):
        kind = draw(st.integers(0, 9))
        cells = [draw(NOTES), *(draw(NUMBERS if kind else NUMBERS | ODD) for _ in range(4))]
        if kind == 1:
            cells = cells[: draw(st.integers(1, 4))]
        text += "" if kind == 2 else delimiter.join(cells).replace(",", delimiter)
        text += draw(ENDINGS) if kind == 3 else ending
    if draw(st.booleans()):
        text = text.rstrip("\r\n")
    return text.encode("utf-8", "surrogateescape")


@given(files(), st.integers(1, 40))
def test_the_size_of_blocks_changes_nothing(data: bytes, size: int) -> None:
    assert classified(data, size) == classified(data)


@given(files(), st.data())
def test_a_range_gives_exactly_its_part_of_the_whole(data: bytes, draw: st.DataObject) -> None:
    whole, rejected = classified(data)
    form = layout(data)
    ends = form.body + form.cut(data[form.body :], final=True) + 1
    starts = [int(start) for start in (form.body, *ends) if start < len(data)]
    bounds = sorted({*starts[:1], *draw.draw(st.sets(st.sampled_from(starts)) if starts else st.just(set()))})
    parts = []
    for start, stop in zip(bounds, [*bounds[1:], len(data)][: len(bounds)], strict=True):
        stop = draw.draw(st.integers(max([s for s in starts if s < stop], default=start) + 1, stop))
        parts.append(part(form, data, start, stop, draw.draw(st.integers(1, 40))))
    assert b"".join([form.opening, *(result for result, _, _ in parts)]) == whole
    found = [line["record"] for _, lines, _ in parts for line in lines]
    assert found == [line["record"] for line in rejected]


@given(files())
def test_every_record_becomes_one_prediction_or_one_rejection(data: bytes) -> None:
    result, rejected = classified(data)
    form = layout(data)
    delimiter = form.layout.dialect.delimiter.decode()
    records = reference(data.decode("latin-1")[form.body :], delimiter)
    answered = reference(result.decode("latin-1")[len(form.opening) :], delimiter)
    assert len(answered) + len(rejected) == sum(1 for cells in records if cells not in ([""], ["\r"]))
    kept = iter(records)
    for cells in answered:
        while (record := next(kept)) != [*cells[:4], record[-1]]:
            continue
        assert cells[4] == record[4].removesuffix("\r") if len(record) == 5 else False
        values = [number("x", cell.strip().strip('"')) for cell in cells[1:5]]
        expected = IRIS.predict(Batch.of(IRIS.features, np.array(values).reshape(4, 1)))
        assert cells[5] == IRIS.heads[0].classes[expected.outputs[0].labels[0]]
        assert [float(cell) for cell in cells[7:]] == expected.outputs[0].probabilities[:, 0].tolist()


def test_a_newline_in_quotes_does_not_make_a_header_of_lines_that_end_with_returns() -> None:
    names = ",".join(IRIS.feature_names or ())
    text = f'{names},note\r5.1,3.5,1.4,0.2,"a\nb"\r7.0,3.2,4.7,1.4,c\r'.encode()
    found = dialect.find(text, True, IRIS.document.schema, dialect.Given(), (",",))
    assert (found.returned, text[: found.body].count(b"\r")) == (True, 1)
