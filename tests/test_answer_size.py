"""What an answer weighs for Lambda, laid beside the text that Lambda's runtime client makes of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thimble.web.app import FEW_BYTES, MAX_CARRIED_BYTES, Response, carried_bytes

TELLING = st.text(st.sampled_from('a"\\/\n\t\x00\x1f\x7f\x80é☃\u2028\u2029\U0001f600'))


@pytest.fixture(scope="module")
def marshal() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_EXECUTION_ENV", "AWS_Lambda_python3.13")
        from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

        yield LambdaMarshaller().marshal_response


@given(TELLING | st.text(), st.dictionaries(TELLING, TELLING, max_size=3))
def test_a_text_weighs_what_the_runtime_client_writes(
    marshal: Any, text: str, headers: dict[str, str]
) -> None:
    body = text.encode("utf-8", "replace")
    answer = Response(200, body, headers=headers).carried
    written, _ = marshal(answer)
    assert carried_bytes(answer) == len(written.encode())
    headers_bytes = carried_bytes(Response(200, headers=headers).carried)
    assert len(written.encode()) <= MAX_CARRIED_BYTES // FEW_BYTES * len(body) + headers_bytes


@given(st.binary(max_size=100))
def test_bytes_weigh_what_they_have_in_base64(marshal: Any, body: bytes) -> None:
    answer = Response(200, b"\xff" + body).carried
    assert answer["isBase64Encoded"]
    written, _ = marshal(answer)
    assert carried_bytes(answer) == len(written.encode())
