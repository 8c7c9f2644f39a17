"""gzip and zstd, in and out: any pieces, several members, and broken ones refused."""

import gzip
from collections.abc import Callable, Iterator

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from thimble.errors import InvalidFile
from thimble.tables.compression import GZIP, ZSTD, Compression
from thimble.tables.formats import named

COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress}
DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "zstd": zstd.decompress}
both = pytest.mark.parametrize("compression", [GZIP, ZSTD], ids=lambda compression: compression.name)


def in_pieces(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


@both
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4), st.integers(1, 300))
def test_what_others_compressed_is_read_in_any_pieces(
    compression: Compression, members: list[bytes], size: int
) -> None:
    data = b"".join(COMPRESS[compression.name](member) for member in members)
    assert b"".join(compression.decompress(in_pieces(data, size))) == b"".join(members)


@both
@given(st.binary(min_size=1, max_size=5000), st.integers(1, 300))
def test_the_same_bytes_come_out_whatever_the_pieces(
    compression: Compression, data: bytes, size: int
) -> None:
    packed = b"".join(compression.compress(in_pieces(data, size)))
    assert packed == b"".join(compression.compress([data]))
    assert DECOMPRESS[compression.name](packed) == data


@both
def test_a_small_file_that_swells_comes_in_small_pieces(compression: Compression) -> None:
    packed = COMPRESS[compression.name](bytes(50 << 20))
    sizes = [len(piece) for piece in compression.decompress([packed])]
    assert sum(sizes) == 50 << 20
    assert max(sizes) <= 1 << 20


@both
def test_broken_or_cut_data_are_refused(compression: Compression) -> None:
    packed = COMPRESS[compression.name](b"some text, some more text" * 9)
    with pytest.raises(InvalidFile, match=f"the {compression.name} data end too early"):
        list(compression.decompress([packed[:-3]]))
    with pytest.raises(InvalidFile, match=f"the file is not {compression.name}, or broken"):
        list(compression.decompress([b"plain text, nothing else"]))
    with pytest.raises(InvalidFile, match=f"the file is not {compression.name}, or broken"):
        list(compression.decompress([packed + b"more"]))


def test_padding_after_gzip_is_no_data() -> None:
    assert b"".join(GZIP.decompress([gzip.compress(b"a") + bytes(512)])) == b"a"


@pytest.mark.parametrize(
    ("key", "format_", "compression", "extension"),
    [
        ("a/b.c/d.csv", "csv", None, ".csv"),
        ("d.2024.CSV.GZ", "csv", GZIP, ".CSV.GZ"),
        ("d.jsonl.zst", "jsonl", ZSTD, ".jsonl.zst"),
        ("a.csv/d", "", None, ""),
        ("d.gz", "", GZIP, ".gz"),
        ("d.exe", "", None, ".exe"),
    ],
)
def test_a_name_says_the_format_and_the_compression(
    key: str, format_: str, compression: Compression | None, extension: str
) -> None:
    name = named(key)
    assert (name.format, name.compression, name.extension) == (format_, compression, extension)
