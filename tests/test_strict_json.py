"""JSON is read as the standard library reads it, but for keys that occur twice."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thimble.inference.strict_json import DoubledKey, loads

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
)


@given(value=values)
def test_the_reader_agrees_with_the_standard_library(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        try:
            body = text.encode()
        except UnicodeEncodeError:
            continue
        assert loads(body) == json.loads(text)


@given(value=st.dictionaries(st.text(max_size=4), values, min_size=1, max_size=4))
def test_no_doubled_key_is_ever_dropped_silently(value: dict[str, Any]) -> None:
    key = next(iter(value))
    doubled = json.dumps(value)[:-1] + f", {json.dumps(key)}: null}}"
    with pytest.raises(DoubledKey):
        loads(json.dumps([{}]).replace("{}", doubled).encode())


@pytest.mark.parametrize("depth", [10, 200, 300])
def test_nested_however_deeply_it_is_read(depth: int) -> None:
    value: Any = 1
    for _ in range(depth):
        value = {"a": [value], "b": ":"}
    text = json.dumps(value)
    assert loads(text.encode()) == value
    with pytest.raises(DoubledKey):
        loads(text.replace("1", '{"c": 1, "c": 2}').encode())
