"""The Arrow schema that a Parquet file notes beside its own: some of its fields, or two schemas' as one.

The note is a message of Arrow's IPC format, a flatbuffer: tables that point forward to what they hold, by
distances. So the messages stay as they are, behind a new root whose list of fields points into them.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import NamedTuple

from thimble.tables.parquet.thrift import Struct

ARROW_SCHEMA = b"ARROW:schema"
CONTINUED = b"\xff\xff\xff\xff"  # begins a message, before its length

# Of each table, the numbers of the fields that are looked at; and the kind of message that is a schema.
VERSION, HEADER = 0, 2
FIELDS, METADATA, FEATURES = 1, 2, 3
SCHEMA = 1

# The new root: where it is, then its tables, each after the list of where its fields are.
ROOT = struct.Struct("<I 5H2x iIhBx 6H iIII")
MESSAGE_AT, SCHEMA_AT, FIELDS_AT = 16, 40, 56


class Message(NamedTuple):
    data: bytes

    def unpack(self, form: str, at: int) -> int:
        found: int = struct.unpack_from(form, self.data, at)[0]
        return found

    def follow(self, at: int) -> int:
        return at + self.unpack("<I", at)

    def field(self, table: int, number: int) -> int | None:
        """Where a table's field is, if it is there."""
        places = table - self.unpack("<i", table)
        if 4 + 2 * number >= self.unpack("<H", places):
            return None
        distance = self.unpack("<H", places + 4 + 2 * number)
        return table + distance if distance else None

    def child(self, table: int, number: int) -> int | None:
        at = self.field(table, number)
        return None if at is None else self.follow(at)

    @property
    def version(self) -> int:
        at = self.field(self.follow(0), VERSION)
        return 0 if at is None else self.unpack("<h", at)

    @property
    def schema(self) -> int:
        at = self.child(self.follow(0), HEADER)
        if at is None:
            raise ValueError("the message has no schema")
        return at

    @property
    def fields(self) -> list[int]:
        at = self.child(self.schema, FIELDS)
        if at is None:
            return []
        return [self.follow(at + 4 * k) for k in range(1, 1 + self.unpack("<I", at))]


def only(note: Struct, columns: Sequence[int]) -> Struct:
    """The note of some columns; BROKEN if it is none of a schema."""
    message = _message(note)
    fields = message.fields
    return _note(message, [(message, fields[k]) for k in columns])


def joined(theirs: Struct, ours: Struct) -> Struct:
    """Their note with our fields after theirs; BROKEN if one is none of a schema."""
    messages = [_message(note) for note in (theirs, ours)]
    return _note(messages[0], [(message, at) for message in messages for at in message.fields])


def _message(note: Struct) -> Message:
    data = base64.b64decode(note[2])
    return Message(data[8 if data.startswith(CONTINUED) else 4 :])


def _note(first: Message, fields: Sequence[tuple[Message, int]]) -> Struct:
    """A note of these fields, with all else that the first message says."""
    begin: dict[Message, int] = {}
    end = _aligned(FIELDS_AT + 4 + 4 * len(fields))
    for message in dict.fromkeys([first, *(message for message, _ in fields)]):
        begin[message] = end
        end += _aligned(len(message.data))

    def distances(at: int, targets: Sequence[tuple[Message, int]]) -> list[int]:
        return [begin[message] + target - at - 4 * k for k, (message, target) in enumerate(targets)]

    kept = [first.child(first.schema, number) for number in (METADATA, FEATURES)]
    further = [
        0 if target is None else distances(SCHEMA_AT + 8 + 4 * k, [(first, target)])[0]
        for k, target in enumerate(kept)
    ]
    root = ROOT.pack(
        MESSAGE_AT,
        *(10, 12, 8, 10, 4),  # the sizes of the list and of the table; version, kind, schema
        *(MESSAGE_AT - 4, SCHEMA_AT - MESSAGE_AT - 4, first.version, SCHEMA),
        *(
            12,
            16,
            0,
            4,
            8 * bool(further[0]),
            12 * bool(further[1]),
        ),  # order, fields, metadata, features
        *(12, FIELDS_AT - SCHEMA_AT - 4, *further),
    )
    listed = struct.pack(f"<{1 + len(fields)}I", len(fields), *distances(FIELDS_AT + 4, fields))
    data = _padded(root + listed) + b"".join(_padded(message.data) for message in begin)
    note = base64.b64encode(CONTINUED + struct.pack("<I", len(data)) + data)
    return {1: ARROW_SCHEMA, 2: note}


def _aligned(size: int) -> int:
    return -(-size // 8) * 8


def _padded(data: bytes) -> bytes:
    return data.ljust(_aligned(len(data)), b"\0")
