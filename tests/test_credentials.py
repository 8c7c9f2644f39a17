"""Keys come from wherever Lambda hands them over, and stay fresh; where there are none, the log says why."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import create_server, socket
from time import sleep

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import lambda_keys
from tests.lambda_keys import ENDPOINT, Keys
from thimble import credentials, store
from thimble.errors import Unavailable
from thimble.store import Folder

OBJECT = "models/models/iris/current"
FULL_URI, TOKEN = "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"
RIGHT = {
    "AccessKeyId": "id",
    "SecretAccessKey": "secret",
    "Token": "session",
    "Expiration": "2026-11-29T08:00:00Z",
}
NO_KEYS = "its answer is not JSON with AccessKeyId, SecretAccessKey, Token and Expiration"


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Folder:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    return Folder("s3://models/models")


@pytest.fixture
def keys(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keys]:
    """S3 and the endpoint, which the environment names, and no key."""
    with lambda_keys.serving({OBJECT: b"found"}) as found:
        for name, value in found.environment().items():
            monkeypatch.setenv(name, value)
        yield found


def read(folder: Folder) -> bytes:
    return folder.get("iris/current")[0]


def told(folder: Folder, caplog: pytest.LogCaptureFixture) -> str:
    """What the log says of a read that fails."""
    with pytest.raises(Unavailable):
        read(folder)
    [record] = caplog.records
    assert record.message == "there are no credentials"
    reason: str = vars(record)["reason"]
    return reason


def test_without_a_key_the_endpoint_is_asked(keys: Keys, folder: Folder) -> None:
    assert read(folder) == b"found"
    assert [key for _, key, _ in keys.asked] == list(keys.given)


def test_keys_of_the_environment_come_first(
    keys: Keys, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As botocore has it; and a key that is empty is none."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "")
    assert read(folder) == b"found"
    own = lambda_keys.Key("AKIAOWN", "its secret", "session", datetime.now(UTC) + timedelta(hours=1))
    keys.given = {own.id: own}
    named = {"AWS_ACCESS_KEY_ID": own.id, "AWS_SECRET_ACCESS_KEY": own.secret, "AWS_SESSION_TOKEN": own.token}
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    assert read(Folder(folder.uri)) == b"found"
    assert list(keys.given) == [own.id]


@pytest.mark.parametrize(
    "found",
    [
        {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"},
        {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials"},
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "/token", "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r"},
    ],
)
def test_what_obstore_finds_is_left_to_it(
    keys: Keys, found: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.bucket("models").credential_provider is credentials.ask
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    assert store.bucket("models").credential_provider is None


def test_keys_that_expire_are_replaced(keys: Keys, folder: Folder) -> None:
    keys.lifetime = timedelta(seconds=1)
    assert read(folder) == b"found"
    sleep(1.1)
    assert read(folder) == b"found"
    assert [key for _, key, _ in keys.asked] == list(keys.given)
    assert len(keys.given) == 2


def test_keys_that_live_are_asked_for_once_by_many_threads(keys: Keys, folder: Folder) -> None:
    keys.lifetime = timedelta(hours=1)
    assert folder.key("iris/current") == "models/iris/current"  # the client is made
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(read, [folder] * 32)) == {b"found"}
    assert len(keys.given) == 1


def test_a_token_may_lie_in_a_file_that_is_replaced(
    keys: Keys, folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As EKS has it; the file comes before the variable, as botocore has it."""
    file = tmp_path / "token"
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(file))
    monkeypatch.setenv(TOKEN, "of the variable")
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        keys.token = token
        assert read(folder) == b"found"
        sleep(0.15)  # for a tenth of a second obstore does not ask again
    assert len(keys.given) == 2


def test_a_refused_token_is_told(keys: Keys, folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    keys.token = "another"
    assert told(folder, caplog) == f"{keys.url}{ENDPOINT} gives no credentials for S3: it answers 401"
    keys.token = lambda_keys.TOKEN
    assert read(folder) == b"found"


def test_a_token_is_never_told(
    keys: Keys, folder: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(TOKEN, "two\nlines")
    assert told(folder, caplog).endswith(": its token is not printable ASCII")


def test_a_token_file_that_is_not_there_is_told(
    keys: Keys, folder: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/none/token")
    assert told(folder, caplog).endswith("No such file or directory: '/none/token'")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        *(
            json.dumps(RIGHT | {name: value}).encode()
            for name in RIGHT
            for value in (None, 1, "", ["2026-11-29T08:00:00Z"])
        ),
        *(json.dumps({k: v for k, v in RIGHT.items() if k != name}).encode() for name in RIGHT),
        json.dumps(RIGHT | {"Expiration": "soon"}).encode(),
        json.dumps(RIGHT | {"Expiration": "2026-11-29T08:00:00"}).encode(),
    ],
)
def test_rubbish_is_told_and_none_of_it_repeated(
    keys: Keys, folder: Folder, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    keys.answer = answer
    assert told(folder, caplog).startswith(f"{keys.url}{ENDPOINT} gives no credentials for S3: {NO_KEYS}")


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*RIGHT, "Code"]), inner),
)
NEARLY_RIGHT = st.fixed_dictionaries(
    {name: st.text() for name in RIGHT} | {"Expiration": st.datetimes(timezones=st.timezones()).map(str)}
)


@given(st.binary() | (ANY_JSON | NEARLY_RIGHT).map(lambda value: json.dumps(value).encode()))
def test_any_answer_is_keys_or_a_sentence(answer: bytes) -> None:
    try:
        found = credentials.parsed(answer)
    except Unavailable:
        return
    said = json.loads(answer)
    assert [found["access_key_id"], found["secret_access_key"], found["token"], str(found["expires_at"])] == [
        said[name] for name in RIGHT
    ]


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://127.0.0.1:1/credentials", "Connection refused"),
        ("https://127.0.0.1/credentials", "it is not of the form http://HOST/PATH"),
        ("/credentials", "it is not of the form http://HOST/PATH"),
        ("http://", "it is not of the form http://HOST/PATH"),
        ("http://127.0.0.1:x/credentials", "Port could not be cast"),
        ("http://[::1/credentials", "Invalid IPv6 URL"),
        ("http://127.0.0.1:1 /credentials", "Port could not be cast"),
    ],
)
def test_an_endpoint_that_cannot_be_reached_is_told(
    keys: Keys,
    folder: Folder,
    uri: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(FULL_URI, uri)
    sentence = told(folder, caplog)
    assert sentence.startswith(f"{uri} gives no credentials for S3: ")
    assert reason in sentence


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"no HTTP at all\r\n\r\n", "its answer is not HTTP"),
        (b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"AccessKeyId": "id"', NO_KEYS),
        (b"", "timed out"),
    ],
)
def test_an_endpoint_that_does_not_answer_is_told(
    keys: Keys,
    folder: Folder,
    said: bytes,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(credentials, "TIMEOUT", 0.3)
    with create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
        monkeypatch.setenv(FULL_URI, f"http://127.0.0.1:{listener.getsockname()[1]}/credentials")
        answered = thread.submit(_say, listener, said)
        assert f"gives no credentials for S3: {reason}" in told(folder, caplog)
        answered.result()


def _say(listener: socket, said: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(said)
        if not said:
            sleep(0.5)
