"""What the environment says, read once at cold start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    model_uri: str  # MODEL_URI: s3://bucket/key or file:///path
    results_uri: str  # RESULTS_URI: s3://bucket or s3://bucket/prefix
    max_rows: int  # MAX_ROWS of one request
    max_body_bytes: int  # MAX_BODY_BYTES of one request, after base64
    max_rejected_share: float  # MAX_REJECTED_SHARE: a file of which more was rejected fails; 1: none does
    delimiter: str  # DELIMITER of CSV and TSV: one character, or tab; empty: found in each file
    quote: str  # QUOTE of CSV and TSV: one character, or none for no quotes; empty: found in each file
    cors_allow_origin: str  # CORS_ALLOW_ORIGIN: an origin, * for any, empty for none


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    return Settings(
        model_uri=environment.get("MODEL_URI", ""),
        results_uri=environment.get("RESULTS_URI", ""),
        max_rows=int(environment.get("MAX_ROWS", "10000")),
        max_body_bytes=int(environment.get("MAX_BODY_BYTES", "6000000")),
        max_rejected_share=float(environment.get("MAX_REJECTED_SHARE", "1")),
        delimiter=environment.get("DELIMITER", ""),
        quote=environment.get("QUOTE", ""),
        cors_allow_origin=environment.get("CORS_ALLOW_ORIGIN", ""),
    )
