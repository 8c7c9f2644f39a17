"""Credentials from the endpoint that Lambda names if its environment variables hold none, as under SnapStart.

In every other environment obstore finds the credentials itself, and this module is not imported. obstore
calls `ask` again five minutes before the credentials expire.
"""

from __future__ import annotations

import os
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson

from thimble import telemetry
from thimble.errors import Unavailable

if TYPE_CHECKING:
    from obstore.store import S3Credential

TIMEOUT = 5.0  # seconds to connect, and for each part of the answer
MOST_BYTES = 65_536  # read of the answer; Lambda's has about a thousand


def ask() -> S3Credential:
    """Ask the endpoint for credentials; log the reason and raise Unavailable if it gives none."""
    uri = os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    try:
        return parsed(_get(uri, _token()))
    except HTTPException:
        raise _none(uri, "its answer is not HTTP") from None
    except (OSError, ValueError, Unavailable) as error:
        raise _none(uri, str(error)) from None


def _none(uri: str, reason: str) -> Unavailable:
    sentence = f"{uri} gives no credentials for S3: {reason}"
    telemetry.logger.error("there are no credentials", reason=sentence)
    return Unavailable(sentence)


def _token() -> str:
    """Return the token from the file, else from the variable; "" if neither is set.

    The file is read each time, because its token is replaced now and then.
    """
    path = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    if path:
        with open(path) as file:
            token = file.read().strip()
    else:
        token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    if not (token.isascii() and token.isprintable()):
        raise Unavailable("its token is not printable ASCII")
    return token


def _get(uri: str, token: str) -> bytes:
    where = urlsplit(uri)
    if where.scheme != "http" or not where.hostname:
        raise Unavailable("it is not of the form http://HOST/PATH")
    connection = HTTPConnection(where.hostname, where.port, timeout=TIMEOUT)
    try:
        target = where._replace(scheme="", netloc="", fragment="").geturl()
        connection.request("GET", target or "/", headers={"authorization": token} if token else {})
        response = connection.getresponse()
        if response.status != 200:
            raise Unavailable(f"it answers {response.status}")
        return response.read(MOST_BYTES)
    finally:
        connection.close()


def parsed(answer: bytes) -> S3Credential:
    """Parse the endpoint's answer; raise Unavailable, without quoting it, if it holds no credentials."""
    try:
        found = orjson.loads(answer)
        key, secret, token = (found[name] for name in ("AccessKeyId", "SecretAccessKey", "Token"))
        expires = datetime.fromisoformat(found["Expiration"])
        if not all(isinstance(text, str) and text for text in (key, secret, token)) or not expires.tzinfo:
            raise ValueError
    except (ValueError, LookupError, TypeError):
        names = "AccessKeyId, SecretAccessKey, Token and Expiration"
        raise Unavailable(f"its answer is not JSON with {names}, a time with its zone") from None
    return {"access_key_id": key, "secret_access_key": secret, "token": token, "expires_at": expires}
