"""What the environment says, read once at cold start."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from thimble.errors import InvalidInput, Unavailable

LONGEST_PAUSE = 12 * 3600  # seconds for which SQS hides a message

# Options of files: what the stack says of all, and each file may say otherwise. Empty: not said.
OF_FILES = (
    "MAX_REJECTED_SHARE",  # a file of which more was rejected fails; 1: none does
    "DELIMITER",  # of CSV and TSV: one character, tab or space; empty: found in each file
    "QUOTE",  # of CSV and TSV: one character, or none for no quotes; empty: found in each file
    "HEADER",  # of CSV and TSV: present or absent; empty: found in each file
    "THRESHOLD",  # of labels, of two classes; empty: each model's own
    "DECIMAL",  # of CSV and TSV: point or comma; empty: found in each file
    "ABSTAIN_BELOW",  # where a label has less, none is answered; empty: each model's own
    "EXPLAIN",  # contributions, all or how many of the largest; empty: none
    "COVERAGE",  # of sets of labels; empty: none
    "BY_CLASS",  # true where a set covers each class so
    "WHAT_IF",  # true for the smallest change that gives another label
)

T = TypeVar("T")


class Settings(NamedTuple):
    models_uri: str  # MODELS_URI, the registry: s3://bucket/models or file:///folder
    model_name: str  # MODEL_NAME of the model that answers where none is named
    model_version: str  # MODEL_VERSION of it, pinned; empty: the current one
    model_refresh_seconds: float  # MODEL_REFRESH_SECONDS between two looks at what is current
    model_cache_bytes: int  # MODEL_CACHE_BYTES of memory for loaded models
    model_uri: str  # MODEL_URI: one document in place of a registry, s3://bucket/key or file:///path
    results_uri: str  # RESULTS_URI: s3://bucket or s3://bucket/prefix
    parts_uri: str  # PARTS_URI: where the functions that share a large file leave their parts
    workflow_arn: str  # WORKFLOW_ARN: the state machine for large files; empty: none is split
    split_bytes: int  # SPLIT_BYTES: a larger file is split
    range_bytes: int  # RANGE_BYTES of a large file for one function
    max_rows: int  # MAX_ROWS of one request
    max_body_bytes: int  # MAX_BODY_BYTES of one request, after base64
    files: Mapping[str, Any]  # OF_FILES: those that are said, by their names in small letters
    unknown_folder: str  # UNKNOWN_FOLDER: refuse or default, for a file in a folder that names no model
    retry_seconds: tuple[int, ...]  # RETRY_SECONDS before a file that failed is tried again: 30,120,...
    cors_allow_origin: str  # CORS_ALLOW_ORIGIN: an origin, * for any, empty for none
    auth: str  # AUTH: how callers are known: IAM, JWT or NONE; empty on one's own machine
    inbox_uri: str  # INBOX_URI: s3://bucket for files that callers upload; empty: they upload none
    upload_bytes: int  # UPLOAD_BYTES of one such file


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Unavailable, with the variable's name, for a number that is none."""

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
    from thimble import asking  # the function of requests is spared it

    try:
        return asking.of_file(texts, str.upper)
    except InvalidInput as error:
        raise Unavailable(str(error)) from None


def _pauses(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _are_pauses(seconds: tuple[int, ...]) -> bool:
    return all(0 <= pause <= LONGEST_PAUSE for pause in seconds)
