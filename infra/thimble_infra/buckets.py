"""Connect commands to buckets, at AWS or on the local stack, and turn S3's errors into sentences."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from thimble.errors import InvalidInput, Unavailable
from thimble_infra import aws, aws_answers, stacks

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Place:
    """A bucket and a folder inside it."""

    bucket: str
    prefix: str

    def key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"


def place(uri: str) -> Place:
    parts = urlsplit(uri, allow_fragments=False)
    if parts.scheme != "s3" or not parts.netloc:
        raise InvalidInput(f"{uri} is not of the form s3://BUCKET or s3://BUCKET/PREFIX")
    return Place(parts.netloc, parts.path.strip("/"))


@contextmanager
def reading(bucket: str, endpoint_url: str | None) -> Iterator[S3Store]:
    """Open a bucket for reading, and turn S3's errors inside into sentences."""
    endpoint = endpoint_of(bucket, endpoint_url)
    with answering(bucket, endpoint):
        yield connect(bucket, endpoint)


def connect(bucket: str, endpoint: str | None) -> S3Store:
    """Connect to the bucket, at AWS or an endpoint, with the credentials that AWS's command line would find.

    An endpoint on loopback needs none: a local S3 takes any. Raises Unavailable if there are no credentials.
    """
    config: S3Config = {"endpoint": endpoint} if endpoint else {}
    options: ClientConfig = {"allow_http": bool(endpoint and endpoint.startswith("http://"))}
    if is_local(endpoint):
        os.environ.update(aws.no_proxy())
        for name, value in aws.CREDENTIALS.items():
            os.environ.setdefault(name, value)
        return S3Store(bucket, config=config, region=aws.REGION, client_options=options)

    import boto3
    from obstore.auth.boto3 import Boto3CredentialProvider

    session = boto3.Session()
    if not session.get_credentials():
        raise Unavailable(aws_answers.NO_CREDENTIALS)
    credentials = Boto3CredentialProvider(session)
    region = session.region_name or aws.REGION
    return S3Store(
        bucket, config=config, region=region, client_options=options, credential_provider=credentials
    )


def endpoint_of(bucket: str, endpoint_url: str | None) -> str | None:
    """Return S3's endpoint; None for AWS.

    The names of the local stack's buckets mean the local stack unless an endpoint is given.
    """
    endpoint = endpoint_url or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint or bucket not in aws.BUCKETS:
        return endpoint
    return stacks.local().s3_url


def keys(bucket: S3Store, prefix: str) -> list[str]:
    """Return the keys of all objects whose keys begin with `prefix`."""
    listed = obstore.list(bucket, prefix.rpartition("/")[0] or None).collect()
    return sorted(item["path"] for item in listed if item["path"].startswith(prefix))


def is_local(endpoint: str | None) -> bool:
    return bool(endpoint) and urlsplit(endpoint).hostname in LOOPBACK


@contextmanager
def answering(bucket: str, endpoint: str | None) -> Iterator[None]:
    """Turn S3's errors from reading a bucket into Unavailable with a sentence."""
    at = f" at {endpoint}" if endpoint else ""
    try:
        yield
    except FileNotFoundError as error:
        if error.filename:  # a file of this machine
            raise
        raise Unavailable(f"{_no_bucket(bucket, at)}, or nothing of that name in it") from None
    except BaseError as error:
        raise Unavailable(refusal(bucket, at, error)) from None


def refusal(bucket: str, at: str, error: BaseError) -> str:
    """Return a sentence on S3's error about a bucket, with what to do."""
    if "NoSuchBucket" in str(error):  # obstore has no class of its own for a list's 404
        return f"{_no_bucket(bucket, at)}: `aws s3 ls` lists those that are there"
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return (
            f"these credentials may not read s3://{bucket}{at}: "
            "`aws sts get-caller-identity` says whose they are"
        )
    if "redirect" in str(error) or "AuthorizationHeaderMalformed" in str(error):
        return (
            f"s3://{bucket} is in another region than {stacks.region()}: AWS_DEFAULT_REGION names its own, "
            f"which `aws s3api get-bucket-location --bucket {bucket}` says"
        )
    return f"S3{at} fails at s3://{bucket}: {first_line(error)}"


def _no_bucket(bucket: str, at: str) -> str:
    return f"there is no bucket {bucket}{at}"


def first_line(error: BaseError) -> str:
    """Return an error's first line, without obstore's internals."""
    return str(error).splitlines()[0]
