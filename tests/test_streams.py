"""What a file's key may be: every key that S3 takes is read as it is, or refused in words."""

import obstore
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from thimble.errors import InvalidFile
from thimble.store import current

keys = st.text(
    st.sampled_from("ab./% +~é\t\n\x7f\\:*?") | st.characters(codec="utf-8"), min_size=1, max_size=8
)


@given(key=keys)
@example("/lead.csv")
@example("a//b.csv")
@example("a/../b.csv")
@example("./b.csv")
@example("tab\t.csv")
def test_a_key_is_read_as_it_is_or_refused(key: str) -> None:
    store = MemoryStore()
    try:
        obstore.put(store, key, b"1")
        kept = [meta["path"] for meta in obstore.list(store).collect()] == [key]
    except ValueError:
        kept = False
    if kept:
        assert current(store, key).size == 1
    else:
        with pytest.raises(InvalidFile, match="cannot be read"):
            current(store, key)
