"""What strangers send costs as much as it is long, and no more: counted in bytes that are looked at."""

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import pytest
from backports import zstd

from thimble.errors import InvalidFile
from thimble.inference import strict_json
from thimble.inference.classifier import Classifier, load
from thimble.tables import cells, compression, members
from thimble.tables.parquet.features import find
from thimble.tables.parquet.footer import FileMeta, Footer, ending, read_footer
from thimble.tables.parquet.thrift import structs
from thimble.web import codings

EMPTY = {"gzip": gzip.compress(b""), "gzip of a byte": gzip.compress(b"1"), "zstd": zstd.compress(b"")}
BEGIN: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(members.GZIP_BITS),
    "gzip of a byte": lambda: zlib.decompressobj(members.GZIP_BITS),
    "zstd": zstd.ZstdDecompressor,
}


def looked_at(name: str, data: bytes, piece: int) -> int:
    """How many bytes all members were given."""
    total = 0

    def unpack(member: Any, data: bytes) -> Iterator[bytes]:
        nonlocal total
        total += len(data)
        yield member.decompress(data)

    pieces = (data[at : at + piece] for at in range(0, len(data), piece))
    for _ in members.unpacked(pieces, BEGIN[name], unpack):
        pass
    return total


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("piece", [100, 1 << 20])
def test_twice_as_many_small_members_cost_twice_as_much(name: str, piece: int) -> None:
    once, twice = (looked_at(name, EMPTY[name] * n, piece) for n in (2_000, 4_000))
    assert twice <= 2.1 * once
    assert once <= 40 * len(EMPTY[name]) * 2_000


def test_a_large_member_is_looked_at_once() -> None:
    data = gzip.compress(bytes(range(256)) * 40_000, 0)
    assert looked_at("gzip", data, 1 << 20) <= len(data) + members.LEAST_BYTES


@pytest.mark.parametrize("form", [compression.GZIP, compression.ZSTD])
def test_members_of_any_size_are_put_together(form: compression.Compression) -> None:
    pack = gzip.compress if form is compression.GZIP else zstd.compress
    parts = [b"", b"1,2\n", b"x" * 300, b"", bytes(range(256)) * 9_000, b"end"]
    padding = b"\0" * 700 if form is compression.GZIP else b""
    data = b"".join(pack(part) + padding for part in parts)
    for size in (1, 7, 1000, len(data)) if len(data) < 30_000 else (997, len(data)):
        pieces = (data[at : at + size] for at in range(0, len(data), size))
        assert b"".join(form.decompress(pieces)) == b"".join(parts)
    with pytest.raises(InvalidFile, match="cut short"):
        list(form.decompress([pack(b"1,2\n")[:-1]]))


def test_a_body_of_small_members_is_unpacked() -> None:
    assert codings.unpacked(gzip.compress(b"1") * 20_000, "gzip", 20_000) == b"1" * 20_000


def test_small_pieces_come_together() -> None:
    pieces = list(members.gathered((b"x" for _ in range(10_001)), 1_000))
    assert list(map(len, pieces)) == [1_000] * 10 + [1]
    assert b"".join(members.gathered([b"ab" * 5_000, b"c"], 64)) == b"ab" * 5_000 + b"c"


@pytest.mark.parametrize(
    "cell", ["1" * 1_000_000 + "x", "." + "1" * 1_000_000 + "e", "1e" + "1" * 1_000_000 + "x"]
)
def test_a_long_cell_that_is_no_number_is_read_once(cell: str) -> None:
    assert not cells.is_number(cell)


def test_a_long_key_is_not_copied_for_each_thing_below_it() -> None:
    key = "k" * 1_000_000
    body = f'{{"{key}":[{"[]," * 500_000}{{"a\\n":1,"a\\n":2}}]}}'.encode()
    with pytest.raises(strict_json.DoubledKey) as found:
        strict_json.loads(body)
    assert str(found.value) == f"{key}[500000].a\n"


def one_number() -> Classifier:
    """A model of one feature without a name."""
    network = {"coefs": [[[1.0, 0.0]]], "intercepts": [[0.0, 0.0]], "classes": ["a", "b"]}
    return load(json.dumps(network | {"out_activation": "softmax"}).encode())


def test_what_other_tools_note_in_a_footer_is_not_read_for_each_row_group() -> None:
    out = io.BytesIO()
    names = ["x", "y", *(f"column {k}" for k in range(500))]
    pl.DataFrame({name: [1.0] for name in names}).write_parquet(out, metadata={"note": "x" * 1_000_000})
    data = out.getvalue()
    found = read_footer(len(data), lambda start, stop: data[start:stop])
    assert len(ending(found.struct)) > 1_000_000
    assert len(found.only(found.columns[:2])) < 1_000


def test_more_row_groups_than_such_a_schema_can_have_are_refused() -> None:
    out, name = io.BytesIO(), "x" * 500_000
    pl.DataFrame({name: [1.0]}).write_parquet(out)
    data = out.getvalue()
    found = read_footer(len(data), lambda start, stop: data[start:stop])
    many = found.struct | {FileMeta.GROUPS: structs(found.groups * 3_000)}
    with pytest.raises(InvalidFile, match=r"^the file has 3,000 row groups, too many for a schema of"):
        find(Footer(many, found.start), lambda start, stop: data[start:stop], one_number())
