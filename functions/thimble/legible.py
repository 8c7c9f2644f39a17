"""JSON that people read: what fits goes on one line, and lists of numbers always do."""

from __future__ import annotations

from typing import Any

import orjson

WIDTH = 110


def dumps(value: Any) -> bytes:
    return f"{_text(value, '')}\n".encode()


def _text(value: Any, indent: str) -> str:
    text = orjson.dumps(value).decode()
    if not isinstance(value, dict | list) or len(indent) + len(text) <= WIDTH:
        return text
    inner = indent + "  "
    if isinstance(value, dict):
        items = [f"{orjson.dumps(key).decode()}: {_text(item, inner)}" for key, item in value.items()]
    elif any(isinstance(item, dict | list) for item in value):
        items = [_text(item, inner) for item in value]
    else:
        return text
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{inner}" + f",\n{inner}".join(items) + f"\n{indent}{closing}"
