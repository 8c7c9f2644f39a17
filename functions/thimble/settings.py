"""The settings, read from the environment variables once at cold start."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from thimble.errors import InvalidInput, Unavailable

LONGEST_PAUSE = 12 * 3600  # seconds for which SQS hides a message

# Options of files. The environment sets them for all files; a file's own options override them. Empty: unset.
OF_FILES = (
    "MAX_REJECTED_SHARE",  # a file fails if a larger share of its records is rejected; 1: it never fails
    "DELIMITER",  # in CSV and TSV: one character, tab or space; empty: found in each file
    "QUOTE",  # in CSV and TSV: one character, or none for no quotes; empty: found in each file
    "HEADER",  # in CSV and TSV: present or absent; empty: found in each file
    "THRESHOLD",  # the least for the positive of two classes; empty: each model's own
    "DECIMAL",  # in CSV and TSV: point or comma; empty: found in each file
    "ABSTAIN_BELOW",  # the least for a label; a row with less gets none; empty: each model's own
    "EXPLAIN",  # contributions to show: all, or the number of the largest; empty: none
    "COVERAGE",  # how often a set of labels holds the true one; empty: no sets
    "BY_CLASS",  # true: the coverage holds for each class by itself
    "WHAT_IF",  # true: the smallest change that gives another label
)

T = TypeVar("T")


class Settings(NamedTuple):
    models_uri: str  # MODELS_URI, the registry: s3://bucket/models or file:///folder
    model_name: str  # MODEL_NAME: the default model, which answers if the caller names none
    model_version: str  # MODEL_VERSION: the default model's pinned version; empty: the current one
    model_refresh_seconds: float  # MODEL_REFRESH_SECONDS between two checks for a new current version
    model_cache_bytes: int  # MODEL_CACHE_BYTES: memory for loaded models
    model_uri: str  # MODEL_URI: one document in place of a registry, s3://bucket/key or file:///path
    results_uri: str  # RESULTS_URI: s3://bucket or s3://bucket/prefix
    parts_uri: str  # PARTS_URI: where the functions that share a large file write their parts
    workflow_arn: str  # WORKFLOW_ARN: the state machine for large files; empty: no file is split
    split_bytes: int  # SPLIT_BYTES: a larger file is split
    range_bytes: int  # RANGE_BYTES: how much of a large file one function classifies
    max_rows: int  # MAX_ROWS: the most rows in one request
    max_body_bytes: int  # MAX_BODY_BYTES: the most bytes in one request, after base64
    files: Mapping[str, Any]  # the options of OF_FILES that are set, by their names in lower case
    unknown_folder: str  # UNKNOWN_FOLDER: refuse or default, for a file in a folder that names no model
    retry_seconds: tuple[int, ...]  # RETRY_SECONDS before each retry of a file that failed: 30,120,...
    cors_allow_origin: str  # CORS_ALLOW_ORIGIN: an origin, * for any, empty for none
    auth: str  # AUTH: how callers are authorized: IAM, JWT or NONE; empty on a developer's machine
    inbox_uri: str  # INBOX_URI: s3://bucket for uploaded files; empty: uploads are off
    upload_bytes: int  # UPLOAD_BYTES: the most bytes in one uploaded file


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read all settings. Raises Unavailable, with the variable's name, for a value that is not valid."""

    def whole(name: str, default: str) -> int:
        return _value(name, environment.get(name, default), int, "a whole number from 1 on", lambda n: n >= 1)

    def seconds(name: str, default: str) -> float:
        text = environment.get(name, default)
        return _value(name, text, float, "a number of seconds from 0 on", lambda x: 0 <= x < math.inf)

    def pauses(name: str, default: str) -> tuple[int, ...]:
        text = environment.get(name, default)
        return _value(name, text, _pauses, "whole seconds from 0 to 43200, separated by commas", _are_pauses)

    return Settings(
        models_uri=environment.get("MODELS_URI", ""),
        model_name=environment.get("MODEL_NAME", ""),
        model_version=environment.get("MODEL_VERSION", ""),
        model_refresh_seconds=seconds("MODEL_REFRESH_SECONDS", "60"),
        model_cache_bytes=whole("MODEL_CACHE_BYTES", "268435456"),
        model_uri=environment.get("MODEL_URI", ""),
        results_uri=environment.get("RESULTS_URI", ""),
        parts_uri=environment.get("PARTS_URI", ""),
        workflow_arn=environment.get("WORKFLOW_ARN", ""),
        split_bytes=whole("SPLIT_BYTES", "268435456"),
        range_bytes=whole("RANGE_BYTES", "67108864"),
        max_rows=whole("MAX_ROWS", "10000"),
        max_body_bytes=whole("MAX_BODY_BYTES", "6000000"),
        files=_of_files(environment),
        unknown_folder=_value(
            "UNKNOWN_FOLDER",
            environment.get("UNKNOWN_FOLDER") or "refuse",
            str,
            "refuse or default",
            ("refuse", "default").__contains__,
        ),
        retry_seconds=pauses("RETRY_SECONDS", "30,120,300,900"),
        cors_allow_origin=environment.get("CORS_ALLOW_ORIGIN", ""),
        auth=environment.get("AUTH", ""),
        inbox_uri=environment.get("INBOX_URI", ""),
        upload_bytes=whole("UPLOAD_BYTES", "5368709120"),
    )


def _value(name: str, text: str, parse: Callable[[str], T], meaning: str, fits: Callable[[T], bool]) -> T:
    try:
        value = parse(text)
    except ValueError:
        fitting = False
    else:
        fitting = fits(value)
    if not fitting:
        raise Unavailable(f"{name} is {text!r}: it has to be {meaning}")
    return value


def _of_files(environment: Mapping[str, str]) -> dict[str, Any]:
    texts = {name.lower(): text for name in OF_FILES if (text := environment.get(name))}
    if not texts:
        return texts
    from thimble import asking  # the function for HTTP requests has no such options and skips the import

    try:
        return asking.of_file(texts, str.upper)
    except InvalidInput as error:
        raise Unavailable(str(error)) from None


def _pauses(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _are_pauses(seconds: tuple[int, ...]) -> bool:
    return all(0 <= pause <= LONGEST_PAUSE for pause in seconds)
