"""What S3 takes as the parts of an upload: all bytes once, in order, within its limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thimble.errors import InvalidFile
from thimble.files import copies, multipart

LEAST, MOST = copies.LEAST, copies.MOST
SIZES = st.sampled_from([0, 1, LEAST - 1, LEAST, LEAST + 1, 2 * LEAST, MOST, MOST + 1, 2 * MOST + LEAST])


@given(st.lists(SIZES | st.integers(0, 3 * LEAST), max_size=30))
def test_every_byte_goes_once_and_in_order(sizes: list[int]) -> None:
    at = [(0, 0)]
    for found in [found for part in multipart.parts(sizes) for found in part]:
        piece, start = at[-1]
        while start == sizes[piece]:
            piece, start = piece + 1, 0
        assert (found.piece, found.start) == (piece, start)
        assert start < found.stop <= sizes[piece]
        at.append((piece, found.stop))
    piece, stop = at[-1]
    assert stop + sum(sizes[piece + 1 :]) == (sizes[piece] if sizes else 0)


@given(st.lists(SIZES | st.integers(0, 3 * LEAST), max_size=30))
def test_a_part_is_as_large_as_s3_wants_it(sizes: list[int]) -> None:
    parts = multipart.parts(sizes)
    totals = [sum(found.stop - found.start for found in part) for part in parts]
    assert all(LEAST <= total <= MOST for total in totals[:-1])
    assert all(total == LEAST for part, total in zip(parts[:-1], totals, strict=False) if len(part) > 1)
    assert len(parts) <= len(sizes) + 1 + sum(size // MOST for size in sizes)


def test_nine_thousand_ranges_fit_into_one_upload() -> None:
    for size in (64 << 20, LEAST + 1, LEAST - 1, 3 << 30):
        assert len(multipart.parts([500, *([size] * 9000)])) <= multipart.MOST_PARTS


def test_more_than_s3_takes_is_refused() -> None:
    with pytest.raises(InvalidFile, match="larger than S3 takes"):
        multipart.parts([MOST] * 10_001)
