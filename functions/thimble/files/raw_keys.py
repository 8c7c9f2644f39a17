"""Keys of S3 that are no plain paths, which obstore does not reach: such a file gets a summary that says so.

boto3 sends a key as it is, so the summary lies under the input's own name.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from thimble import legible

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

REASON = (
    "the key is no plain path (a part of it is empty, . or .., or it has a control character), "
    "and only plain ones are read: upload the file under another name"
)


def refuse(bucket: str, key: str, results_uri: str) -> dict[str, Any] | None:
    """The summary, written; None if there is no such object."""
    client = _client()
    try:
        found = client.head_object(Bucket=bucket, Key=key)
    except client.exceptions.ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise
    given = {
        "bucket": bucket,
        "key": key,
        "version": found.get("VersionId"),
        "etag": found["ETag"],
        "bytes": found["ContentLength"],
    }
    summary = {"input": given, "error": REASON, "seconds": 0.0}
    results = urlsplit(results_uri)
    prefix = results.path.strip("/")
    path = f"{prefix}/{key}/summary.json" if prefix else f"{key}/summary.json"
    client.put_object(Bucket=results.netloc, Key=path, Body=legible.dumps(summary))
    return summary


def _client() -> S3Client:
    import boto3  # only here: few functions meet such a key

    return boto3.client("s3", region_name=os.environ.get("AWS_REGION"))
