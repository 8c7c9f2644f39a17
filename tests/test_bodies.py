"""A request's body becomes its rows, or a sentence that says what is wrong with it."""

from contextlib import suppress

import pytest

from thimble.errors import MalformedBody
from thimble.web import bodies
from thimble.web.tables import Rows


def instances(body: bytes) -> Rows:
    return bodies.instances(bodies.envelope(body))


REFUSED = [
    (b"", MalformedBody, "the body is empty"),
    (b" \n", MalformedBody, "the body is empty"),
    (b"{", MalformedBody, "the body is not JSON"),
    (b"\xff", MalformedBody, "the body is not JSON: byte 0 is not UTF-8"),
    (b"[" * 10_000, MalformedBody, "the body is not JSON"),
    (b"[]", MalformedBody, "the body is a list"),
    (b"{}", MalformedBody, "the body has no instances"),
    (b'{"instances": {}}', MalformedBody, "instances is an object, not a list of rows"),
    (b'{"instances": [[1]], "instance": [1]}', MalformedBody, "the body has both instances and instance"),
    (b'{"instances": [{"a": 1, "a": 2}]}', MalformedBody, "instances[0].a occurs twice in one object"),
    (b'{"instances": [{"a": 1, "\\u0061": 2}]}', MalformedBody, "instances[0].a occurs twice in one object"),
    (b'{"instances": [{"a:": 1, "a:": 2}]}', MalformedBody, "instances[0].a: occurs twice in one object"),
    (b'{"instances": [[1]], "instances": [[2]]}', MalformedBody, "instances occurs twice in one object"),
]


@pytest.mark.parametrize(("body", "kind", "sentence"), REFUSED, ids=[sentence for *_, sentence in REFUSED])
def test_a_body_of_another_shape_is_refused(body: bytes, kind: type[Exception], sentence: str) -> None:
    with pytest.raises(kind) as refusal:
        instances(body)
    assert str(refusal.value).startswith(sentence)


def test_one_instance_is_a_list_of_one() -> None:
    assert instances(b'{"instance": [1, 2]}') == Rows([[1, 2]], "instance")


@pytest.mark.parametrize("depth", [100, 450, 600, 900, 1010, 1020, 1100])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_a_deep_body_is_read_or_refused_and_never_crashes(depth: int, opening: bytes, closing: bytes) -> None:
    body = b'{"instances": [' + opening * depth + b"1" + closing * depth + b"]}"
    with suppress(MalformedBody):
        assert len(instances(body).instances) == 1


def test_a_doubled_key_among_very_many_is_found_at_once() -> None:
    keys = ", ".join(f'"{k}": 1' for k in range(200_000))
    with pytest.raises(MalformedBody, match=r"^instances\[1\]\.x occurs twice in one object$"):
        instances(f'{{"instances": [{{{keys}}}, {{{keys}, "x": 1, "x": 2}}]}}'.encode())


@pytest.mark.parametrize("zeros", [308, 309, 500, 5000])
def test_an_integer_of_any_length_is_a_number(zeros: int) -> None:
    for sign in ("", "-"):
        [[value, _]] = instances(f'{{"instances": [[{sign}1{"0" * zeros}, NaN]]}}'.encode()).instances
        assert (value < 0) == (sign == "-")
        assert abs(value) >= 10**308
